# SPDX-License-Identifier: MIT
"""That the installed package works with its own dependencies only, and what it has loaded.
Usage: installed.py WORD    a library whose path has this word must be loaded"""

import pathlib
import sys

from sklearn.datasets import load_breast_cancer

import dum

data = load_breast_cancer()
area = dum.auroc(dum.IsolationForest(seed=1).fit(data.data).decision_scores_, 1 - data.target)
assert area.value > 0.6, area
loaded = pathlib.Path("/proc/self/maps").read_text()
assert sys.argv[1] in loaded, loaded
print(f"installed.py: {dum.__file__}: AUROC {area.value:.3f}")
