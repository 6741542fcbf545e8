#!/bin/sh
# Installs what the tests need (Debian, root or sudo), builds, and passes the tests.
set -eu
cd "$(dirname "$0")/.."
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
need='meson ninja-build pkg-config gcc g++ clang libc6-dev check libblis-serial-dev python3 python3-numpy'
missing=
for package in $need; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    $sudo apt-get update -q
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi
build=${BUILD_DIR:-build}
[ -f "$build/build.ninja" ] || meson setup "$build" -Dwerror=true
meson compile -C "$build"
meson test -C "$build" --print-errorlogs "$@"
