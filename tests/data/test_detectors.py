#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The detectors against what scikit-learn, PyOD and NumPy make of the same rows (tests/reference/detectors.py says how), as kept in
tests/reference/detectors.json: scores of a few rows of each set, and mean AUROCs of what is random. Standard library only.
Usage: test_detectors.py path/to/dum path/to/detectors.json"""
import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile

from sets import array, data

DUM, REFERENCE = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())
TOLERANCE = 1e-4  # relative
SVM_TOLERANCE = 1e-3  # relative to the largest value of the set: both solve to 0.001
SEEDS, REFERENCE_SEEDS = 10, 25
AUROC_TOLERANCE, ERRORS = 0.01, 4  # of the mean over the seeds: this, or so many standard errors of the difference
# Where FastMCD finds another subset: one of lower determinant than scikit-learn's (docs/detectors.md).
OTHER_OPTIMUM = {"elliptic": {"adbench/tabular-cardio", "adbench/tabular-letter"}}


def fit_and_score(kind, x, scratch, *more):
    """kind: its name, then options."""
    name, *options = kind.split()
    settings = [part for option in options for part in ("--set", option)]
    subprocess.run([DUM, "fit", "--quiet", "--scorer", name, *settings, *more, "--data", x, "--model", scratch / "m.dum"], check=True)
    subprocess.run([DUM, "score", "--data", x, "--model", scratch / "m.dum", "--out", scratch / "s.npy"], check=True)
    return scratch / "s.npy"


def vector(path):
    raw = path.read_bytes()
    start = 10 + int.from_bytes(raw[8:10], "little")
    return struct.unpack(f"<{(len(raw) - start) // 8}d", raw[start:])


def mean_auroc(kind, name, seeds):
    total = 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        x, y = array(data / name / "X.npy", scratch), array(data / name / "y.npy", scratch)
        for seed in range(seeds):
            scores = fit_and_score(kind, x, scratch, "--seed", str(seed))
            done = subprocess.run([DUM, "eval", "--scores", scores, "--labels", y], check=True, capture_output=True, text=True)
            total += json.loads(done.stdout)["auroc"]
    return total / seeds


def compared_scores(table):
    """Of each set and kind: its name, and the rows with what is found and what is wanted."""
    for name, expected in table.items():
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            x = array(data / name / "X.npy", scratch)
            for kind, scores in expected["scores"].items():
                found = vector(fit_and_score(kind, x, scratch))
                yield name, kind, [(row, found[row], wanted) for row, wanted in zip(expected["rows"], scores) if wanted is not None]


SVM_SETS = REFERENCE["ocsvm"]["sets"]
worst_svm = (0,)
for name, kind, rows in compared_scores(SVM_SETS):
    scale = max(abs(wanted) for _, _, wanted in rows)
    for row, found, wanted in rows:
        worst_svm = max(worst_svm, (abs(found - wanted) / scale, name, row, found, wanted))
print(f"ocsvm: {len(SVM_SETS)} sets; largest error relative to the set's largest value: {worst_svm}", flush=True)
assert len(SVM_SETS) > 20 and worst_svm[0] <= SVM_TOLERANCE, worst_svm

for table in (REFERENCE["sets"], REFERENCE["neighbours"]["sets"], REFERENCE["linear"]["sets"]):
    worst, compared = {}, 0
    for name, kind, rows in compared_scores(table):
        for row, found, wanted in rows:
            error = abs(found - wanted) / max(1e-12, abs(wanted))
            worst[kind] = max(worst.get(kind, (0,)), (error, name, row, found, wanted))
            compared += 1
    print(f"{compared} scores on {len(table)} sets; largest relative errors: {worst}", flush=True)
    assert compared > 500 and all(w[0] <= TOLERANCE for w in worst.values()), worst

RANDOM = REFERENCE["random"] | {"iforest": {name: {"mean": mean} for name, mean in REFERENCE["iforest"].items()}}
for kind, table in RANDOM.items():
    for name, expected in table.items():
        found = mean_auroc(kind, name, SEEDS)
        error = expected.get("deviation", 0) * math.sqrt(1 / SEEDS + 1 / REFERENCE_SEEDS)
        print(f"{kind}, {name}: {found:.4f}, expected {expected['mean']:.4f}, standard error {error:.4f}", flush=True)
        assert abs(found - expected["mean"]) <= max(AUROC_TOLERANCE, ERRORS * error) or name in OTHER_OPTIMUM.get(kind, ()), f"{kind}, {name}: {found} is not {expected}"
