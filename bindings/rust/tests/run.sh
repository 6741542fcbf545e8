#!/bin/sh
# Tests the crates against an installed libdum, with nothing but Debian's Rust: no crate is fetched. tests/run.sh calls it,
# after it has built libdum. libdum-ndarray is tested where Debian's librust-ndarray-dev is installed, in a release that has
# the right one.
#   run.sh BUILD FOLDER [--sanitize]    BUILD: a build folder of libdum; FOLDER: for what is made here; --sanitize: only the
# tests, and BUILD is one with ASan and UBSan
set -eu
build=$(cd "$1" && pwd)
mkdir -p "$2"
folder=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
# Debian's, also where there is another.
PATH=/usr/bin:$PATH
CARGO_HOME=$folder/home
CARGO_TARGET_DIR=$folder/target
export PATH CARGO_HOME CARGO_TARGET_DIR

# As installed, for pkg-config.
root=$folder/root
rm -rf "$root"
DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
pc=$(find "$root" -name dum.pc)
sed -i "s|^prefix=|prefix=$root|" "$pc"
PKG_CONFIG_PATH=$(dirname "$pc")
library=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH

if [ "${3:-}" = --sanitize ]; then
    # Not cargo itself, which hangs with it. A test leaks what it must not drop.
    runner=CARGO_TARGET_$(rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)_RUNNER
    preload=$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)
    export "$runner=env LD_PRELOAD=$preload ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1"
    LD_LIBRARY_PATH=$library DUM_TOOL=$build/examples/dum cargo test --offline --quiet --lib --tests
    exit
fi
tools/declarations.sh --check
tools/declarations.sh --check
if cargo fmt --version >/dev/null 2>&1; then
    cargo fmt --all --check
    cargo fmt --manifest-path libdum-ndarray/Cargo.toml --check
else
    echo "format: not checked, there is no rustfmt"
fi
if cargo clippy --version >/dev/null 2>&1; then
    cargo clippy --offline --all-targets -- -D warnings
else
    echo "lint: not checked, there is no clippy"
fi
# Clippy 1.63 wants these comments inside of the statement, so this looks for them.
awk 'FNR == 1 { said = -9 } /SAFETY:|# Safety/ { said = FNR }
    /unsafe( \{| impl | trait )/ && FNR - said > 6 { print FILENAME ":" FNR ": unsafe without a SAFETY comment"; bad = 1 }
    END { exit bad }' libdum*/src/[!d]*.rs libdum/src/dataset.rs libdum*/tests/*.rs libdum/tests/*/*.rs libdum/benches/*.rs
RUSTDOCFLAGS="-D warnings" cargo doc --offline --no-deps --quiet
LD_LIBRARY_PATH=$library DUM_TOOL=$build/examples/dum cargo test --offline --quiet --lib --tests
# Only so are the error numbers of what must not compile compared.
LD_LIBRARY_PATH=$library RUSTC_BOOTSTRAP=1 cargo test --offline --quiet --doc
LD_LIBRARY_PATH=$library cargo run --offline --quiet --example threads
LD_LIBRARY_PATH=$library cargo run --offline --quiet --example threads "$PWD/../../tests/golden/format-1-knn.dum" 3 0.1

# The only crate that needs another one: Debian's.
registry=/usr/share/cargo/registry
if ls -d "$registry"/ndarray-0.17.* >/dev/null 2>&1; then
    mkdir -p "$CARGO_HOME"
    printf '[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "%s"\n' "$registry" \
        >"$CARGO_HOME/config.toml"
    (
        cd libdum-ndarray
        if cargo clippy --version >/dev/null 2>&1; then
            cargo clippy --offline --all-targets -- -D warnings
        fi
        RUSTDOCFLAGS="-D warnings" cargo doc --offline --no-deps --quiet
        LD_LIBRARY_PATH=$library cargo test --offline --quiet --lib --tests
        LD_LIBRARY_PATH=$library RUSTC_BOOTSTRAP=1 cargo test --offline --quiet --doc
    )
else
    echo "libdum-ndarray: not tested, there is no crate ndarray 0.17 in $registry (Debian: librust-ndarray-dev)"
fi

# What the README of the library shows.
rm -rf "$folder/readme"
python3 ../../tests/install/readme.py "$folder/readme"
(cd "$folder/readme" && LD_LIBRARY_PATH=$library cargo run --offline --quiet)

# libdum inside.
DUM_STATIC=1 cargo build --offline --quiet --example threads
if ldd "$CARGO_TARGET_DIR/debug/examples/threads" | grep libdum; then
    echo "bindings/rust/tests/run.sh: the static program needs libdum.so" >&2
    exit 1
fi
"$CARGO_TARGET_DIR/debug/examples/threads"
