#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PyOD's scores of a few rows of each set, fitted on all of its rows as they are, the mean AUROC of scikit-learn's
isolation forests, and minus the decision values of its one-class SVM on the smaller sets, for tests/data/test_detectors.py.
Then what is defined by nearest neighbours, by NumPy with ties going to the lower row (PyOD leaves them to the order in which
a partial sort puts them); Mahalanobis distances and residuals of principal components by scikit-learn; and mean AUROCs of what is
random: FastMCD by scikit-learn, samples by NumPy, kernel densities (exact ones) by scikit-learn.

HBOS: the histograms are PyOD's, but a value is looked up in the bin that it was counted in. PyOD looks one that lies on an
edge up in the bin below (numpy.digitize with right=True), which on columns of few distinct values is another bin.

Usage: detectors.py path/to/data detectors.json [part]...     (NumPy, PyOD, scikit-learn; written with PyOD 3.6.7 and
scikit-learn 1.9.1); parts: pyod, iforest, ocsvm, neighbours, linear, random; those not named stay as they are in the file."""
import gzip
import itertools
import json
import pathlib
import sys

import numpy as np
import pyod
import sklearn
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from sklearn.covariance import EllipticEnvelope, LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KernelDensity
from sklearn.svm import OneClassSVM

MOST_ROWS, MOST_ROWS_SVM, MOST_ROWS_NEAR, SHOWN = 60000, 3000, 12000, 12


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


class Near:
    """The k nearest other rows of some rows, and what is made of them."""

    def __init__(self, x, most=20):
        self.x, self.most, self.known = x, min(most, len(x) - 1), {}

    def of(self, row):
        if row not in self.known:
            squares = ((self.x - self.x[row]) ** 2).sum(axis=1)
            squares[row] = np.inf
            order = np.lexsort((np.arange(len(squares)), squares))[:self.most]
            self.known[row] = order, np.sqrt(squares[order])
        return self.known[row]

    def density(self, row):
        order, distances = self.of(row)
        return 1 / (np.mean([max(d, self.of(o)[1][-1]) for o, d in zip(order, distances)]) + 1e-10)

    def lof(self, row):
        return np.mean([self.density(o) for o in self.of(row)[0]]) / self.density(row)

    def abod(self, row):
        angles = []
        for a, b in itertools.combinations(self.x[self.of(row)[0][:5]] - self.x[row], 2):
            if a.any() and b.any():
                angles.append(a @ b / (a @ a) / (b @ b))
        return -np.var(angles) if angles else None  # a row among copies of itself


def near_scores(x):
    near, rows = Near(x), np.linspace(0, len(x) - 1, SHOWN).astype(int)
    distances = np.array([near.of(row)[1][:5] for row in rows])
    return rows, {"knn": distances[:, -1], "knn method=mean": distances.mean(axis=1), "knn method=median": np.median(distances, axis=1),
                  "lof": [near.lof(row) for row in rows], "abod": [near.abod(row) for row in rows]}


def neighbours(found):
    found["neighbours"] = {"numpy": np.__version__, "sets": {}}
    for folder in sorted(p.parent for group in ("adbench", "uci") for p in (data / group).glob("*/X.npy*")):
        x = load(folder / "X.npy").astype(np.float32).astype(np.float64)
        if len(x) > MOST_ROWS_NEAR or x.size > 3e6:
            continue
        rows, scores = near_scores(x)
        found["neighbours"]["sets"][f"{folder.parent.name}/{folder.name}"] = {
            "rows": rows.tolist(), "scores": {kind: list(values) for kind, values in scores.items()}}
        print(folder.name, flush=True)


def residual(x):
    model = PCA(0.9, svd_solver="full").fit(x)
    return ((x - model.inverse_transform(model.transform(x))) ** 2).sum(axis=1)


def linear(found):
    kinds = {"mahalanobis": lambda x: LedoitWolf().fit(x).mahalanobis(x), "pca": residual}
    found["linear"] = {"scikit-learn": sklearn.__version__, "sets": on_sets(kinds, MOST_ROWS)}


def samples(x, size, count, random):
    """The mean over `count` samples of the distance to the nearest of `size` rows."""
    total = np.zeros(len(x))
    for _ in range(count):
        chosen = x[random.choice(len(x), size, replace=False)]
        total += np.sqrt(np.min([((x - row) ** 2).sum(axis=1) for row in chosen], axis=0))
    return total / count


def kernel_density(x):
    bandwidth = np.sqrt(x.shape[1] * x.var(axis=0).mean() / 2)
    return -KernelDensity(bandwidth=bandwidth, rtol=1e-6).fit(x).score_samples(x)


def minmax(x):
    width = x.max(axis=0) - x.min(axis=0)
    return (x - x.min(axis=0)) / np.where(width > 0, width, 1)


def mean_aurocs(found):
    kinds = {
        "elliptic": lambda x, seed: -EllipticEnvelope(random_state=seed).fit(x).score_samples(x),
        "kde scaling=minmax": lambda x, seed: kernel_density(minmax(x)),
        "lesinn scaling=minmax": lambda x, seed: samples(minmax(x), 8, 50, np.random.default_rng(seed)),
        "sp scaling=minmax": lambda x, seed: samples(minmax(x), 20, 1, np.random.default_rng(seed)),
    }
    found["random"] = {}
    for kind, score in kinds.items():
        found["random"][kind] = {}
        for name in FORESTS:
            folder = data / "adbench" / f"tabular-{name}"
            x, y = load(folder / "X.npy").astype(np.float32).astype(np.float64), load(folder / "y.npy").astype(int)
            if kind == "elliptic" and len(x) * x.shape[1] > 100000:
                continue
            seeds = range(1 if kind.startswith("kde") else 5 if kind == "elliptic" else SEEDS)
            scores = [roc_auc_score(y, score(x, seed)) for seed in seeds]
            found["random"][kind][f"adbench/tabular-{name}"] = {"mean": np.mean(scores), "deviation": np.std(scores)}
            print(kind, name, found["random"][kind][f"adbench/tabular-{name}"], flush=True)


PARTS = {"iforest": forests, "ocsvm": one_class_svm, "pyod": column_detectors, "neighbours": neighbours, "linear": linear,
         "random": mean_aurocs}
found = json.loads(out.read_text()) if out.exists() else {}
for part in sys.argv[3:] or PARTS:
    PARTS[part](found)
out.write_text(json.dumps(found, sort_keys=True).replace('}, "', '},\n"') + "\n")
