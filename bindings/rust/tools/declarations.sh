#!/bin/sh
# Writes libdum-sys/src/declarations.rs from include/dum.h with bindgen.
#   declarations.sh            writes it
#   declarations.sh --check    only says whether it is up to date (exit code 1 where not)
# Other releases of bindgen and rustfmt write the same declarations in other words: the file is Debian 12's.
set -eu
PATH=/usr/bin:$PATH
cd "$(dirname "$0")/.."
release="bindgen 0.60"
target=libdum-sys/src/declarations.rs
case $(bindgen --version) in
"$release"*) ;;
*)
    echo "declarations.sh: this is $(bindgen --version), $target is made with $release" >&2
    [ "${1:-}" = --check ] || exit 1
    exit 0
    ;;
esac
made=$(mktemp)
trap 'rm -f "$made"' EXIT
bindgen ../../include/dum.h --output "$made" \
    --rust-target 1.47 --size_t-is-usize --translate-enum-integer-types --no-prepend-enum-name \
    --enable-function-attribute-detection --with-derive-default \
    --allowlist-function 'dum_.*' --allowlist-type 'dum_.*' --allowlist-var 'DUM_.*' \
    --raw-line '// SPDX-License-Identifier: MIT' \
    --raw-line '// Made by tools/declarations.sh from dum.h: do not edit.'
if [ "${1:-}" != --check ]; then
    cat "$made" >$target
elif ! diff -u $target "$made" >&2; then
    echo "$target differs from include/dum.h: run bindings/rust/tools/declarations.sh" >&2
    exit 1
fi
