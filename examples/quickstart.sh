#!/bin/sh
# From a bare Debian (root or sudo) to a picture: installs what the build needs, builds, and runs
# examples/quickstart.c on the table in examples/data.
set -eu
cd "$(dirname "$0")/.."
tests/packages.sh meson ninja-build pkg-config gcc libc6-dev libblis-serial-dev
build=${BUILD_DIR:-build-quickstart}
[ -f "$build/build.ninja" ] || meson setup "$build" -Dtests=disabled
meson compile -C "$build"
"$build/examples/quickstart" examples/data/wdbc.csv "$build/scores.svg"
