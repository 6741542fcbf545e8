#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The detectors against PyOD's scores of the same rows, isolation forests against the mean AUROC of scikit-learn's, the
one-class SVM against scikit-learn's decision values (tests/reference/detectors.json). Standard library only.
Usage: test_detectors.py path/to/dum path/to/detectors.json"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

from sets import array, data

DUM, REFERENCE = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())
TABLE = REFERENCE["sets"]
TOLERANCE = 1e-4  # relative
SVM_TOLERANCE = 1e-3  # relative to the largest value of the set: both solve to 0.001
SEEDS, AUROC_TOLERANCE = 10, 0.01  # of the mean of so many forests


def vector(path):
    raw = path.read_bytes()
    start = 10 + int.from_bytes(raw[8:10], "little")
    return struct.unpack(f"<{(len(raw) - start) // 8}d", raw[start:])


def forest_auroc(name, seed, scratch):
    x, y = array(data / name / "X.npy", scratch), array(data / name / "y.npy", scratch)
    model, scores = scratch / "m.dum", scratch / "s.npy"
    subprocess.run([DUM, "fit", "--quiet", "--scorer", "iforest", "--seed", str(seed), "--data", x, "--model", model], check=True)
    subprocess.run([DUM, "score", "--data", x, "--model", model, "--out", scores], check=True)
    done = subprocess.run([DUM, "eval", "--scores", scores, "--labels", y], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["auroc"]


def compared_scores(table):
    """Of each set and kind: its name, and the rows with what is found and what is wanted."""
    for name, expected in table.items():
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            x = array(data / name / "X.npy", scratch)
            for kind, scores in expected["scores"].items():
                subprocess.run([DUM, "fit", "--quiet", "--scorer", kind, "--data", x, "--model", scratch / "m.dum"], check=True)
                subprocess.run([DUM, "score", "--data", x, "--model", scratch / "m.dum", "--out", scratch / "s.npy"], check=True)
                found = vector(scratch / "s.npy")
                yield name, kind, [(row, found[row], wanted) for row, wanted in zip(expected["rows"], scores)]


for name, expected in REFERENCE["iforest"].items():
    with tempfile.TemporaryDirectory() as scratch:
        found = sum(forest_auroc(name, seed, pathlib.Path(scratch)) for seed in range(SEEDS)) / SEEDS
    print(f"iforest, {name}: {found:.4f}, scikit-learn {expected:.4f}", flush=True)
    assert abs(found - expected) <= AUROC_TOLERANCE, f"{name}: {found} is not {expected}"

SVM_SETS = REFERENCE["ocsvm"]["sets"]
worst_svm = (0,)
for name, kind, rows in compared_scores(SVM_SETS):
    scale = max(abs(wanted) for _, _, wanted in rows)
    for row, found, wanted in rows:
        worst_svm = max(worst_svm, (abs(found - wanted) / scale, name, row, found, wanted))
print(f"ocsvm: {len(SVM_SETS)} sets; largest error relative to the set's largest value: {worst_svm}", flush=True)
assert len(SVM_SETS) > 20 and worst_svm[0] <= SVM_TOLERANCE, worst_svm

worst, compared = {}, 0
for name, kind, rows in compared_scores(TABLE):
    for row, found, wanted in rows:
        error = abs(found - wanted) / max(1e-12, abs(wanted))
        worst[kind] = max(worst.get(kind, (0,)), (error, name, row, found, wanted))
        compared += 1
print(f"{compared} scores on {len(TABLE)} sets; largest relative errors: {worst}")
assert compared > 500 and all(w[0] <= TOLERANCE for w in worst.values()), worst
