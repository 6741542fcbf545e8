#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""table4.py on a made-up set: DUM on SimCLR embeddings beside DUM on the rows. Skips without NumPy.
Usage: test_table4.py path/to/libdum.so"""
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)

RUNNER = pathlib.Path(__file__).with_name("table4.py")
random = np.random.default_rng(5)
y = np.arange(200) >= 190
x = random.standard_normal((200, 6)) * np.where(y, 6, 1)[:, None]

with tempfile.TemporaryDirectory() as folder:
    at = pathlib.Path(folder, "uci", "pima")
    at.mkdir(parents=True)
    np.save(at / "X.npy", x.astype(np.float32))
    np.save(at / "y.npy", y.astype(np.uint8))
    done = subprocess.run([sys.executable, RUNNER, "--lib", sys.argv[1], "--data", folder, "--seeds", "2", "--steps", "20"],
                          capture_output=True, text=True, check=True)
rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()]
assert rows[0][:4] == ["set", "rows", "outliers", "dum on SimCLR"] and rows[0][4] == "dum on features", rows[0]
assert rows[2][:3] == ["pima", "200", "10"] and rows[3][0] == "mean" and len(rows) == 4, rows
assert rows[2][-2:] == ["82.0", "81.5"], rows[2]
for cell, mean in zip(rows[2][3:7], rows[3][3:7]):
    value, _, spread = cell.partition(" ± ")
    assert value == mean and 0 <= float(value) <= 100 and 0 <= float(spread) <= 100, rows
# Rows six times as far from the rest are found on features, by the default.
assert float(rows[3][4]) > 95, rows
print("ok")
