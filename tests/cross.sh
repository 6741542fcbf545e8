#!/bin/sh
# Builds for another processor with Debian's cross compiler and runs the suites under qemu-user: aarch64, or s390x, whose
# bytes lie the other way round, so that it shows that model files are the same everywhere. Not part of run.sh: it
# adds a foreign architecture to the machine's package manager.
#   tests/cross.sh aarch64|s390x [suite...]
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
aarch64) debian=arm64 ;;
s390x) debian=s390x ;;
*)
    echo "tests/cross.sh: expected aarch64 or s390x" >&2
    exit 2
    ;;
esac
cpu=$1
shift
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
if ! dpkg --print-foreign-architectures | grep -qx $debian; then
    $sudo dpkg --add-architecture $debian
    $sudo apt-get update -q
fi
tests/packages.sh meson ninja-build pkg-config python3 qemu-user-static "gcc-$cpu-linux-gnu"
# packages.sh asks dpkg for the state of each by this name.
tests/packages.sh libc6-dev:$debian libblis-serial-dev:$debian check:$debian

folder=${BUILD_DIR:-build-tests}/$cpu
mkdir -p "$folder"
endian=little
[ "$cpu" = s390x ] && endian=big
# The interface's version of BLIS cannot be asked for without running a program of that processor.
version=$(dpkg-query -W -f '${Version}' libblis-serial-dev:$debian | sed 's/-.*//')
cat > "$folder/cross.txt" <<END
[binaries]
c = '$cpu-linux-gnu-gcc'
ar = '$cpu-linux-gnu-ar'
strip = '$cpu-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = 'qemu-$cpu-static'
[properties]
pkg_config_libdir = '/usr/lib/$cpu-linux-gnu/pkgconfig'
[host_machine]
system = 'linux'
cpu_family = '$cpu'
cpu = '$cpu'
endian = '$endian'
END
[ -f "$folder/build/build.ninja" ] || meson setup "$folder/build" --cross-file "$folder/cross.txt" -Dwerror=true \
    -Dblis_version="$version" -Dexamples=false -Dtests=enabled
meson compile -C "$folder/build"
# What needs the machine's own compiler, or minutes of emulation, is left out.
meson test -C "$folder/build" --print-errorlogs -t 10 ${*:-backend golden gradient scaling stats io resume api fuzz-model fuzz-npy old-host}
