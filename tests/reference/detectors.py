#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PyOD's scores of a few rows of each set, fitted on all of its rows as they are, the mean AUROC of scikit-learn's
isolation forests, and minus the decision values of its one-class SVM on the smaller sets, for tests/data/test_detectors.py.

HBOS: the histograms are PyOD's, but a value is looked up in the bin that it was counted in. PyOD looks one that lies on an
edge up in the bin below (numpy.digitize with right=True), which on columns of few distinct values is another bin.

Usage: detectors.py path/to/data detectors.json [part]...     (NumPy, PyOD, scikit-learn; written with PyOD 3.6.7 and
scikit-learn 1.9.1); parts: pyod, iforest, ocsvm; those not named stay as they are in the file."""
import gzip
import json
import pathlib
import sys

import numpy as np
import pyod
import sklearn
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM

MOST_ROWS, MOST_ROWS_SVM, SHOWN = 60000, 3000, 12


def hbos(x):
    model, score = HBOS(n_bins=10, alpha=0.1, tol=0.5).fit(x), np.zeros(len(x))
    for j in range(x.shape[1]):
        bins = np.clip(np.searchsorted(model.bin_edges_[:, j], x[:, j], side="right") - 1, 0, 9)
        score -= np.log2(model.hist_[bins, j] + 0.1)
    return score


KINDS = {"copod": lambda x: COPOD().fit(x).decision_scores_, "ecod": lambda x: ECOD().fit(x).decision_scores_, "hbos": hbos}
data, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def load(path):
    if path.exists():
        return np.load(path)
    with gzip.open(f"{path}.gz") as file:
        return np.load(file)


# One forest is one draw: the mean AUROC of many.
FORESTS, SEEDS = ["annthyroid", "breastw", "cardio", "letter", "mnist", "pima", "satimage-2", "thyroid", "wdbc", "wilt"], 25


def forests(found):
    found["iforest"] = {}
    for name in FORESTS:
        folder = data / "adbench" / f"tabular-{name}"
        x, y = load(folder / "X.npy").astype(np.float32), load(folder / "y.npy").astype(int)
        found["iforest"][f"adbench/tabular-{name}"] = np.mean(
            [roc_auc_score(y, -IsolationForest(random_state=seed).fit(x).score_samples(x)) for seed in range(SEEDS)])


def on_sets(kinds, most_rows):
    """Scores of a few rows of each set that is no larger."""
    sets = {}
    for folder in sorted(p.parent for group in ("adbench", "uci") for p in (data / group).glob("*/X.npy*")):
        x = load(folder / "X.npy").astype(np.float32).astype(np.float64)
        if len(x) > most_rows or not np.isfinite(x).all():
            continue
        rows = np.linspace(0, len(x) - 1, SHOWN).astype(int)
        scores = {kind: score(x)[rows].tolist() for kind, score in kinds.items()}
        sets[f"{folder.parent.name}/{folder.name}"] = {"rows": rows.tolist(), "scores": scores}
        print(folder.name, flush=True)
    return sets


def column_detectors(found):
    found["pyod"], found["sets"] = pyod.__version__, on_sets(KINDS, MOST_ROWS)


def one_class_svm(found):
    svm = {"ocsvm": lambda x: -OneClassSVM().fit(x).decision_function(x)}
    found["ocsvm"] = {"scikit-learn": sklearn.__version__, "sets": on_sets(svm, MOST_ROWS_SVM)}


PARTS = {"iforest": forests, "ocsvm": one_class_svm, "pyod": column_detectors}
found = json.loads(out.read_text()) if out.exists() else {}
for part in sys.argv[3:] or PARTS:
    PARTS[part](found)
out.write_text(json.dumps(found, sort_keys=True).replace('}, "', '},\n"') + "\n")
