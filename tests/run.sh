#!/bin/sh
# Installs what the tests need (Debian, root or sudo), then builds and tests: gcc, clang, ASan + UBSan, TSan (the
# suites with threads and MPI), format and lint, the Python binding (in a virtual environment; needs the Python index), the Rust
# binding. Real data are found by DUM_DATA; without it those tests skip.
#   tests/run.sh [gcc|clang|asan|tsan|lint|python|rust]...    all of them if none is named
set -eu
cd "$(dirname "$0")/.."
tests/packages.sh git meson ninja-build pkg-config gcc g++ clang clang-format clang-tidy libc6-dev check \
    libblis-serial-dev libmpich-dev mpich python3 python3-dev python3-numpy python3-venv abigail-tools prometheus \
    cargo rustc rustfmt rust-clippy bindgen
folder=${BUILD_DIR:-build-tests}

# build NAME CC CXX OPTION...
build() {
    name=$1 cc=$2 cxx=$3
    shift 3
    [ -f "$folder/$name/build.ninja" ] || CC=$cc CXX=$cxx meson setup "$folder/$name" -Dwerror=true "$@"
    meson compile -C "$folder/$name"
}
# run NAME OPTION...
run() {
    name=$1
    shift
    meson test -C "$folder/$name" --print-errorlogs "$@"
}

for part in ${*:-gcc clang asan tsan lint python rust}; do
    case $part in
    gcc)
        build gcc gcc g++
        run gcc
        ;;
    clang)
        build clang clang clang++
        run clang --no-suite data # numbers, minutes of them: gcc's do
        ;;
    asan)
        build asan gcc g++ -Db_sanitize=address,undefined -Doptimization=2
        run asan
        ;;
    tsan)
        build tsan gcc g++ -Db_sanitize=thread -Doptimization=2
        run tsan --suite hosts --suite mpi
        CK_RUN_CASE=encoder run tsan --suite encoder # the cases with threads
        ;;
    lint)
        build clang clang clang++
        sources=$(git ls-files '*.c' '*.h' '*.cpp' '*.hpp' ':!tests/reference') # those are generated
        # Other releases of the formatter break lines elsewhere.
        # shellcheck disable=SC2086
        case $(clang-format --version) in
        *" 14."*) clang-format --dry-run -Werror $sources ;;
        *) echo "format: not checked, it is clang-format 14's" ;;
        esac
        git ls-files 'lib/*.c' 'examples/*.c' 'examples/*.cpp' |
            xargs -n 8 -P "$(nproc)" clang-tidy -p "$folder/clang" --quiet
        ;;
    python)
        build gcc gcc g++
        bindings/python/tests/run.sh "$folder/gcc" "$folder/python"
        ;;
    rust)
        build gcc gcc g++
        bindings/rust/tests/run.sh "$folder/gcc" "$folder/rust"
        ;;
    *)
        echo "tests/run.sh: unknown part $part, expected gcc, clang, asan, tsan, lint, python or rust" >&2
        exit 2
        ;;
    esac
done
