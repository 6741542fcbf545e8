#!/bin/sh
# Tests the binding in a virtual environment of its own: the wheel with libdum's C sources and BLIS inside, then one
# against an installed libdum. tests/run.sh calls it, after it has built libdum.
#   run.sh BUILD FOLDER [--sanitize]    BUILD: a build folder of libdum; FOLDER: for what is made here; --sanitize: only
# pytest, under ASan and UBSan, with libdum and the binding built for them
set -eu
build=$(cd "$1" && pwd)
mkdir -p "$2"
folder=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."

# As installed, for pkg-config.
root=$folder/root
rm -rf "$root"
DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
pc=$(find "$root" -name dum.pc)
sed -i "s|^prefix=|prefix=$root|" "$pc"

python3 -m venv "$folder/venv"
PATH=$folder/venv/bin:$PATH
export PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1
if ! pip install -q --retries 2 --timeout 20 -r tests/requirements.txt; then
    echo "bindings/python/tests/run.sh: the packages of tests/requirements.txt cannot be installed: is the Python" \
        "index reachable (PIP_INDEX_URL, proxy)? The tests of the Python binding did not run." >&2
    exit 1
fi
wheel() {
    rm -rf "${folder:?}/$1"
    pip wheel -q --no-build-isolation --no-deps . -w "$folder/$1" \
        "--config-settings=setup-args=$2" "--config-settings=build-dir=$folder/$1-build"
}

if [ "${3:-}" = --sanitize ]; then
    export CFLAGS=-fsanitize=address,undefined LDFLAGS=-fsanitize=address,undefined
    wheel sanitized --force-fallback-for=dum
    pip install -q --no-deps --force-reinstall "$folder"/sanitized/*.whl
    # Python itself leaks on purpose. pytest keeps what a process says that dies: hence the log.
    rm -f "$folder"/sanitizer.*
    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
        ASAN_OPTIONS="detect_leaks=0:log_path=$folder/sanitizer" UBSAN_OPTIONS="halt_on_error=1:log_path=$folder/sanitizer" \
        DUM_TOOL=$build/examples/dum pytest -q --ignore tests/test_examples.py || failed=yes
    for log in "$folder"/sanitizer.*; do
        [ ! -e "$log" ] || { cat "$log" && failed=yes; }
    done
    [ -z "${failed:-}" ]
    exit
fi

# libdum and BLIS inside.
wheel built-in --force-fallback-for=dum
auditwheel repair -w "$folder/built-in/repaired" "$folder"/built-in/*.whl
pip install -q --no-deps --force-reinstall "$folder"/built-in/repaired/*.whl
mypy
mypy --strict tests/hints.py examples/*.py
ruff check .
ruff format --check .
DUM_TOOL=$build/examples/dum PYTHONMALLOC=debug pytest -q

# Nothing but what the wheel asks for.
python3 -m venv --clear "$folder/clean"
"$folder/clean/bin/pip" install -q -c tests/requirements.txt "$folder"/built-in/repaired/*.whl
"$folder/clean/bin/python" tests/installed.py dum.libs

# An installed libdum.
PKG_CONFIG_PATH=$(dirname "$pc") wheel system --wrap-mode=nofallback
"$folder/clean/bin/pip" install -q --no-deps --force-reinstall "$folder"/system/*.whl
LD_LIBRARY_PATH=$(dirname "$(dirname "$pc")") "$folder/clean/bin/python" tests/installed.py libdum.so
