#!/bin/sh
# Installs the built tree to a scratch folder; compiles, links and runs a consumer with nothing but
# pkg-config: C and C++, shared and static; and the header alone under each standard.
# Usage: test_install.sh SOURCE BUILD CC CXX
set -eu
source=$1 build=$2 cc=$3 cxx=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
DESTDIR=$scratch/root meson install -C "$build" --no-rebuild --quiet
pc=$(find "$scratch/root" -name dum.pc)
[ -n "$pc" ] || { echo "dum.pc was not installed"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR="$scratch/root"
library=$(dirname "$(dirname "$pc")")
cp "$source/tests/install/consumer.c" "$scratch/consumer.c"
cp "$source/tests/install/consumer.c" "$scratch/consumer.cpp"
flags='-Wall -Wextra -pedantic -Werror'

echo '#include <dum.h>' > "$scratch/header.c"
cp "$scratch/header.c" "$scratch/header.cpp"
for standard in c99 c11; do
    # shellcheck disable=SC2046,SC2086
    $cc -std=$standard $flags $(pkg-config --cflags dum) -c "$scratch/header.c" -o "$scratch/header.o"
done
# shellcheck disable=SC2046,SC2086
$cxx -std=c++17 $flags $(pkg-config --cflags dum) -c "$scratch/header.cpp" -o "$scratch/header.o"

run() {
    name=$1
    shift
    "$@" -o "$scratch/$name"
    LD_LIBRARY_PATH=$library "$scratch/$name"
}
# shellcheck disable=SC2046,SC2086
run shared-c $cc -std=c99 $flags "$scratch/consumer.c" $(pkg-config --cflags --libs dum)
# shellcheck disable=SC2046,SC2086
run shared-cxx $cxx -std=c++17 $flags "$scratch/consumer.cpp" $(pkg-config --cflags --libs dum)
# The static library by name: with -ldum the linker would take the shared one.
static=$(pkg-config --static --libs dum | sed 's/-ldum/-l:libdum.a/')
# shellcheck disable=SC2046,SC2086
run static-c $cc -std=c11 $flags "$scratch/consumer.c" $(pkg-config --cflags dum) $static
# shellcheck disable=SC2046,SC2086
run static-cxx $cxx -std=c++17 $flags "$scratch/consumer.cpp" $(pkg-config --cflags dum) $static
if ldd "$scratch/static-c" | grep -q libdum; then echo "the static program needs libdum.so"; exit 1; fi
others=$(readelf -d "$library"/libdum.so | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' |
    grep -v -E '^(libblis|libc|libm|libpthread|libdl|ld-linux[^ ]*|libgcc_s|lib(a|t|ub)san)[.]so' || true)
[ -z "$others" ] || { echo "libdum.so needs more than BLIS and libc:" $others; exit 1; }
ldd "$scratch/shared-c" | grep -q libdum.so.0 || { echo "the soname is not libdum.so.0"; exit 1; }

# What the README shows, by its own lines.
python3 "$source/tests/install/readme.py" "$scratch/readme"
cd "$scratch/readme"
readme() {
    build=$(sed "s|^$2 |$3 $flags -o service-$1 |" "build-$1.sh")
    eval "$build"
    LD_LIBRARY_PATH=$library "./service-$1"
}
from_c=$(readme c cc "$cc")
from_cpp=$(readme cpp 'c++' "$cxx")
echo "README: $from_c"
[ "$from_c" = "$from_cpp" ] || { echo "in C++: $from_cpp"; exit 1; }

PATH=$(dirname "$(find "$scratch/root" -path '*bin/dum')"):$PATH
LD_LIBRARY_PATH=$library dum --version
