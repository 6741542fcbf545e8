#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mahalanobis distances with Ledoit-Wolf shrinkage, from scikit-learn. Usage: whiten.py > whiten_reference.h"""
import numpy as np
from sklearn.covariance import LedoitWolf

rng = np.random.default_rng(1)
n, d = 30, 6
x = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * [1, 10, 0.1, 1, 5, 1] + [0, 3, 0, -7, 0, 100]).astype(np.float32)
raw = x.astype(np.float64)
raw -= raw.mean(0)
z = raw / raw.std(0)
print("/* Made by tests/reference/whiten.py; do not edit. */")
print(f"enum {{ WHITEN_ROWS = {n}, WHITEN_COLS = {d} }};")
print("static const float whiten_rows[] = {")
for row in x:
    print("    " + " ".join(f"{np.format_float_scientific(v, unique=True)}f," for v in row))
print("};")
for name, rows in ("whiten_distances", z), ("whiten_cov_distances", raw):
    print(f"static const double {name}[] = {{")
    for v in LedoitWolf(assume_centered=True).fit(rows).mahalanobis(rows):
        print(f"    {v:.17g},")
    print("};")
