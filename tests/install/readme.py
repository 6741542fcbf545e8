#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lays out what the README shows, for tests to build and run in a folder as a reader would: service.c, service.cpp,
service.py and the lines that build them (build-c.sh, build-cpp.sh), a Rust package, embeddings.npy to train on, and
`libdum`, a link to the sources. Usage: readme.py FOLDER"""
import pathlib
import random
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS, COLS = 500, 64


def embeddings():
    rng = random.Random(1)
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, {COLS}), }}".ljust(117) + "\n"
    numbers = [rng.gauss(0, 1) for _ in range(ROWS * COLS)]
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack(f"<{len(numbers)}f", *numbers)


def block(text, language, word):
    """The only one of this language that has this word."""
    found = [code for code in re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL) if word in code]
    assert len(found) == 1, f"README.md has {len(found)} blocks of {language} with {word}"
    return found[0]


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "src").mkdir(parents=True)
    (folder / "libdum").symlink_to(ROOT)
    (folder / "embeddings.npy").write_bytes(embeddings())
    text = (ROOT / "README.md").read_text()
    (folder / "service.c").write_text(block(text, "c", "main"))
    (folder / "service.cpp").write_text(block(text, "cpp", "main"))
    (folder / "service.py").write_text(block(text, "python", "import dum"))
    (folder / "src/main.rs").write_text(block(text, "rust", "main"))
    (folder / "build-c.sh").write_text(block(text, "sh", "service.c "))
    (folder / "build-cpp.sh").write_text(block(text, "sh", "service.cpp "))
    package = '[package]\nname = "readme"\nversion = "0.0.0"\nedition = "2021"\n\n[workspace]\n\n'
    (folder / "Cargo.toml").write_text(package + block(text, "toml", "libdum"))


if __name__ == "__main__":
    main()
