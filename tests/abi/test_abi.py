#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The binary interface has not changed since the baseline, tests/abi/dum.abi; and this check sees the changes
that it is for: libraries made from broken headers must fail it.

Usage: test_abi.py SOURCE libdum.so CC BLIS_VERSION [--write]     --write: makes the baseline (at a release)"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

source, library, cc, blis = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
here = source / "tests" / "abi"
baseline = here / "dum.abi"

for tool in ("abidw", "abidiff"):
    if shutil.which(tool) is None:
        sys.exit(f"{tool} is missing (Debian: abigail-tools): a gate that cannot look must not be open")

if "--write" in sys.argv:
    subprocess.run(["abidw", "--no-show-locs", "--no-corpus-path", "--no-comp-dir-path", "--headers-dir",
                    source / "include", "--drop-private-types", "--out-file", baseline, library], check=True)
    # Where it was built is nobody's business, and no comparison's.
    baseline.write_text(re.sub(r"path='[^']*?((?:lib|include)/)", r"path='\1", baseline.read_text()))
    sys.exit()


def differs(path, include):
    """By abidiff, or by the offsets that host.c asserts."""
    done = subprocess.run(["abidiff", "--no-added-syms", "--suppr", here / "growing.ini", baseline, path],
                          capture_output=True, text=True)
    offsets = subprocess.run([cc, "-fsyntax-only", '-DHEADER="dum.h"', "-I", include, here / "host.c"],
                             capture_output=True, text=True)
    return done.returncode or offsets.returncode, done.stdout + done.stderr + offsets.stderr


def build(folder, edit, *flags):
    """A library from a header that `edit` has changed."""
    shutil.copytree(source / "lib", folder / "lib")
    (folder / "include").mkdir()
    text = (source / "include" / "dum.h").read_text()
    edited = edit(text)
    assert edited != text or flags, "the edit changes nothing"
    (folder / "include" / "dum.h").write_text(edited)
    out = folder / "libdum.so.0"
    subprocess.run([cc, "-std=c11", "-g", "-O0", "-w", "-shared", "-fPIC", "-fvisibility=hidden", "-DDUM_BUILDING",
                    f'-DDUMI_BLIS_VERSION="{blis}"', '-DDUMI_MODULE_DIR="/nowhere"', "-I", folder / "lib", "-I",
                    folder / "include", f"-Wl,--version-script={source}/lib/libdum.map", "-Wl,-soname,libdum.so.0",
                    *flags, *sorted(folder.glob("lib/**/*.c")), "-o", out, "-lblis", "-lm"], check=True)
    return out


def replaced(old, new):
    def edit(text):
        assert text.count(old) == 1, (old, text.count(old))
        return text.replace(old, new)
    return edit


variants = {
    "nothing": (replaced("#define DUM_H\n", "#define DUM_H\n\n"), [], False),
    "a member appended": (replaced("    void *reduce_user;\n", "    void *reduce_user;\n    int64_t more;\n"), [], False),
    "an enumerator added": (replaced("DUM_TTEST_WELCH = 1 }", "DUM_TTEST_WELCH = 1, DUM_TTEST_MORE = 2 }"), [], False),
    "a member inserted": (replaced("    double max_seconds; ", "    double more;\n    double max_seconds; "), [], True),
    "members exchanged": (replaced("    double low, high; ", "    double high, low; "), [], True),
    "an enumerator renumbered": (replaced("DUM_ERR_LIMIT = -10", "DUM_ERR_LIMIT = -20"), [], True),
    "a function gone": (lambda text: text, ["-Ddum_version=dumi_version"], True),
}

status, told = differs(library, source / "include")
assert status == 0, f"the interface differs from the baseline (exit status {status}):\n{told}"
for name, (edit, flags, breaks) in variants.items():
    with tempfile.TemporaryDirectory() as folder:
        made = build(Path(folder), edit, *flags)
        status, told = differs(made, Path(folder) / "include")
        assert (status != 0) == breaks, f"{name}: exit status {status}\n{told}"
print(f"{len(re.findall('<elf-symbol ', baseline.read_text()))} symbols, {len(variants)} variants")
