#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the library exports is what the header declares, under a version; what it must never call, it does not
import; no writable static data beyond a listed few. Usage: test_symbols.py dum.h libdum.so libdum.a"""
import re
import subprocess
import sys

header, shared, static = sys.argv[1:4]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


text = re.sub(r"/\*.*?\*/", "", open(header).read(), flags=re.S)
declared = set(re.findall(r"\bDUM_API\b[^;{]*?\b(dum_[a-z0-9_]+)\s*\(", text))
rows = [line.split() for line in run("nm", "-D", "--with-symbol-versions", shared).splitlines()]
exported, imported = set(), set()
for row in rows:
    if row[-2] in "TBDRVW" and len(row) == 3:
        name, _, version = row[-1].partition("@@")
        if name.startswith("DUM_"):
            continue  # the version's own symbol
        assert version.startswith("DUM_"), f"{name} has no version"
        exported.add(name)
    elif row[-2] == "U":
        imported.add(row[-1].split("@")[0])
assert len(declared) > 60, "the header was not understood"
assert exported == declared, f"only exported: {exported - declared}; only declared: {declared - exported}"

forbidden = {"abort", "exit", "_exit", "quick_exit", "printf", "puts", "fputs", "putchar", "fprintf", "__printf_chk",
             "__fprintf_chk", "perror", "signal", "sigaction", "setlocale", "setenv", "putenv", "fesetround",
             "__assert_fail", "rand", "srand", "strtok", "strerror", "qsort", "stdout", "stderr"}
sanitized = any(name.startswith(("__asan", "__tsan", "__ubsan")) for name in imported)
assert not imported & forbidden, f"must not be used: {imported & forbidden}"

# Thread-local storage is apart (.tbss), constants with addresses in them are in .data.rel.ro.
if not sanitized:
    objects = [line.split() for line in run("size", "-A", static).splitlines()]
    writable = [row for row in objects if row and re.match(r"\.(data|bss)(\.(?!rel\.ro).*)?$", row[0]) and int(row[1])]
    assert not writable, f"writable static data: {writable}"
    sections = [line.split() for line in run("size", "-A", "-x", shared).splitlines()]
    tls = sum(int(row[1], 16) for row in sections if row and row[0] in (".tbss", ".tdata"))
    assert tls <= 320, f"{tls} bytes of thread-local storage"
print(f"{len(exported)} functions")
