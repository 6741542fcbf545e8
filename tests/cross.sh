#!/bin/sh
# Builds for another processor with Debian's cross compiler and runs suites under qemu-user: aarch64, or s390x, whose bytes
# lie the other way round, so that it shows that model files are the same everywhere. BLIS and Check of that
# processor are unpacked into the build folder; nothing foreign is installed.
#   tests/cross.sh aarch64|s390x [suite...]
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
aarch64) debian=arm64 endian=little ;;
s390x) debian=s390x endian=big ;;
*)
    echo "tests/cross.sh: expected aarch64 or s390x" >&2
    exit 2
    ;;
esac
cpu=$1
shift
tests/packages.sh meson ninja-build pkg-config python3 qemu-user-static "gcc-$cpu-linux-gnu" "libc6-dev-$debian-cross"
folder=${BUILD_DIR:-$PWD/build-tests}/$cpu
root=$folder/root

if [ ! -d "$root" ]; then
    mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
    # APT with a state of its own takes that processor for the machine's.
    foreign() {
        apt-get -q -o APT::Architecture=$debian -o APT::Architectures=$debian -o Dir::State::lists="$folder/apt/lists" \
            -o Dir::Cache="$folder/apt" -o Dir::State::status=/dev/null "$@"
    }
    foreign update
    (cd "$folder/apt" && foreign download libblis4-serial libblis-serial-dev check libsubunit0 libsubunit-dev)
    for package in "$folder"/apt/*.deb; do
        dpkg -x "$package" "$root.part"
    done
    mv "$root.part" "$root"
fi
libraries=$root/usr/lib/$cpu-linux-gnu
serial=$libraries/blis-serial
version=$(basename "$folder"/apt/libblis4-serial_*.deb | sed 's/^[^_]*_//; s/-.*//')
cat > "$folder/cross.txt" <<END
[binaries]
c = '$cpu-linux-gnu-gcc'
ar = '$cpu-linux-gnu-ar'
strip = '$cpu-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-$cpu-static', '-L', '/usr/$cpu-linux-gnu', '-E', 'LD_LIBRARY_PATH=$serial:$libraries']
[properties]
pkg_config_libdir = '$libraries/pkgconfig'
sys_root = '$root'
[built-in options]
c_args = ['-isystem', '$root/usr/include/$cpu-linux-gnu/blis-serial', '-isystem', '$root/usr/include']
c_link_args = ['-L$serial', '-L$libraries', '-Wl,-rpath-link,$serial']
[host_machine]
system = 'linux'
cpu_family = '$cpu'
cpu = '$cpu'
endian = '$endian'
END
# The version of BLIS cannot be asked for while configuring.
[ -f "$folder/build/build.ninja" ] || meson setup "$folder/build" --cross-file "$folder/cross.txt" -Dwerror=true \
    -Dblis_version="$version" -Dexamples=false -Dtests=enabled
meson compile -C "$folder/build"
# Without what needs the machine's own compiler. Emulation is slow.
export CK_TIMEOUT_MULTIPLIER=10
[ $# -gt 0 ] || set -- backend golden gradient scaling stats io resume api fuzz-model fuzz-npy
meson test -C "$folder/build" --print-errorlogs -t 10 "$@"
