#!/bin/sh
# Installs what the tests need (Debian, root or sudo), builds, and passes the tests. Arguments go to
# `meson test`. Real data are found by DUM_DATA; without it those tests skip.
set -eu
cd "$(dirname "$0")/.."
tests/packages.sh meson ninja-build pkg-config gcc g++ libc6-dev check libblis-serial-dev python3 python3-numpy
build=${BUILD_DIR:-build}
[ -f "$build/build.ninja" ] || meson setup "$build" -Dwerror=true
meson compile -C "$build"
meson test -C "$build" --print-errorlogs "$@"
