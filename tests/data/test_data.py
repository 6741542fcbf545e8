#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The main job on real data: fits and scores sets found by DUM_DATA with the default options, and compares the
AUROC with the one in docs/detection.json, so that the table cannot go stale. Standard library only.
Usage: test_data.py path/to/dum path/to/detection.json"""
import json
import pathlib
import subprocess
import sys
import tempfile

from sets import array, data

DUM, TABLE = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())
SETS = ["adbench/tabular-breastw", "adbench/tabular-cardio", "adbench/tabular-wdbc", "adbench/resnet18-mvtec-ad-carpet",
        "adbench/vit-mvtec-ad-bottle", "uci/ionosphere", "uci/pima"]
TOLERANCE = 0.01  # another processor rounds differently, and training carries that on


def auroc(folder, scratch):
    x, y = array(folder / "X.npy", scratch), array(folder / "y.npy", scratch)
    model, scores = scratch / "m.dum", scratch / "s.npy"
    subprocess.run([DUM, "fit", "--quiet", "--data", x, "--model", model], check=True)
    subprocess.run([DUM, "score", "--data", x, "--model", model, "--out", scores], check=True)
    done = subprocess.run([DUM, "eval", "--scores", scores, "--labels", y], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["auroc"]


for name in SETS:
    expected = TABLE[f"{name}|transductive|local"]["auroc"]
    with tempfile.TemporaryDirectory() as scratch:
        found = auroc(data / name, pathlib.Path(scratch))
    print(f"{name}: {found:.4f}, in the table {expected:.4f}", flush=True)
    assert abs(found - expected) <= TOLERANCE, f"{name}: {found} is not {expected}"
