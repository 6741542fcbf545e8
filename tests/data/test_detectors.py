#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The detectors against PyOD's scores of the same rows (tests/reference/detectors.json). Standard library only.
Usage: test_detectors.py path/to/dum path/to/detectors.json"""
import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

DUM, TABLE = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())["sets"]
TOLERANCE = 1e-4  # relative

if not os.environ.get("DUM_DATA"):
    print("skipped: DUM_DATA does not name a folder of data sets")
    sys.exit(77)
data = pathlib.Path(os.environ["DUM_DATA"])


def vector(path):
    raw = path.read_bytes()
    start = 10 + int.from_bytes(raw[8:10], "little")
    return struct.unpack(f"<{(len(raw) - start) // 8}d", raw[start:])


worst, compared = {}, 0
for name, expected in TABLE.items():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        x = data / name / "X.npy"
        if not x.exists():
            x = scratch / "X.npy"
            x.write_bytes(gzip.decompress(pathlib.Path(data / name / "X.npy.gz").read_bytes()))
        for kind, scores in expected["scores"].items():
            subprocess.run([DUM, "fit", "--quiet", "--scorer", kind, "--data", x, "--model", scratch / "m.dum"], check=True)
            subprocess.run([DUM, "score", "--data", x, "--model", scratch / "m.dum", "--out", scratch / "s.npy"], check=True)
            found = vector(scratch / "s.npy")
            for row, wanted in zip(expected["rows"], scores):
                error = abs(found[row] - wanted) / max(1e-12, abs(wanted))
                worst[kind] = max(worst.get(kind, (0,)), (error, name, row, found[row], wanted))
                compared += 1
print(f"{compared} scores on {len(TABLE)} sets; largest relative errors: {worst}")
assert compared > 500 and all(w[0] <= TOLERANCE for w in worst.values()), worst
