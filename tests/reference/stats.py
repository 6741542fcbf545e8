#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reference values for tests/stats: scikit-learn, SciPy, and mpmath for tails that underflow.

Debian: python3-sklearn python3-scipy python3-mpmath. Usage: stats.py > stats_reference.h
The rows are made by the same formulas in the test, so only results are stored.
"""
import numpy as np
from mpmath import mp, mpf
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

mp.dps = 60


def sequence(n, a, m, levels=0):
    """Pseudo-random numbers in [0, 1): i * a mod m, over m; with levels, rounded down to that many."""
    x = (np.arange(n, dtype=np.int64) * a % m) / m
    return np.floor(x * levels) / levels if levels else x


def delong(scores, labels):
    """O(n^2), straight from the definition."""
    pos, neg = scores[labels == 1], scores[labels == 0]
    if min(len(pos), len(neg)) < 2:
        return 0, 1
    psi = (pos[:, None] > neg[None]) + 0.5 * (pos[:, None] == neg[None])
    var = psi.mean(1).var(ddof=1) / len(pos) + psi.mean(0).var(ddof=1) / len(neg)
    half = stats.norm.ppf(0.975) * np.sqrt(var)
    return max(0, psi.mean() - half), min(1, psi.mean() + half)


def fpr95(scores, labels):
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    return fpr[np.argmax(tpr >= 0.95)]


def log10_tail(t, df):
    """log10 of the two-sided tail of Student's t."""
    t, df = mpf(t), mpf(df)
    if df >= 50000:  # the series of betainc converges too slowly: integrate the density
        width = 1 / max(t * (df + 1) / (df + t * t), mpf(1))
        body = mp.quad(lambda u: ((df + u * u) / (df + t * t)) ** (-(df + 1) / 2),
                       [t, t + width, t + 4 * width, t + 16 * width, t + 64 * width, t + 512 * width])
        log_front = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2
        log_front -= (df + 1) / 2 * mp.log1p(t * t / df)
        return (mp.log(2 * body) + log_front) / mp.log(10)
    x = df / (df + t * t)
    return mp.log10(mp.betainc(df / 2, mpf(1) / 2, 0, x, regularized=True))


def roc_case(n, a, m, levels, every):
    scores = sequence(n, a, m, levels)
    labels = (np.arange(n) % every == 0).astype(int)
    scores = scores + 0.25 * labels
    low, high = delong(scores, labels)
    row = [n, a, m, levels, every, roc_auc_score(labels, scores), low, high,
           average_precision_score(labels, scores), fpr95(scores, labels)]
    print("    {%d, %d, %d, %d, %d, %.17g, %.17g, %.17g, %.17g, %.17g}," % tuple(row))


def exact_ttest(a, b, welch):
    a, b = [mpf(float(x)) for x in a], [mpf(float(x)) for x in b]
    n, m = len(a), len(b)
    ma, mb = mp.fsum(a) / n, mp.fsum(b) / m
    sa, sb = mp.fsum((x - ma) ** 2 for x in a), mp.fsum((x - mb) ** 2 for x in b)
    if welch:
        va, vb = sa / (n - 1) / n, sb / (m - 1) / m
        v, df = va + vb, (va + vb) ** 2 / (va ** 2 / (n - 1) + vb ** 2 / (m - 1))
    else:
        df = n + m - 2
        v = (sa + sb) / df * (mpf(1) / n + mpf(1) / m)
    t = (ma - mb) / mp.sqrt(v)
    d = (ma - mb) / mp.sqrt((sa + sb) / (n + m - 2))
    return t, df, d, log10_tail(t, df)


def ttest_case(n, m, shift, offset, scale):
    a = sequence(n, 7919, 10007) + offset
    b = sequence(m, 104729, 15013) * scale + (offset + shift)
    for welch in (0, 1):
        t, df, d, log_p = exact_ttest(a, b, welch)
        check = stats.ttest_ind(a, b, equal_var=not welch)
        if offset == 0 and check.pvalue > 1e-280:
            assert abs(check.statistic / float(t) - 1) < 1e-11 and abs(check.pvalue / float(10 ** log_p) - 1) < 1e-10
        values = (n, m, shift, offset, scale, welch, float(t), float(df), float(d), float(log_p))
        print("    {%d, %d, %.17g, %.17g, %.17g, %d, %.17g, %.17g, %.17g, %.17g}," % values)


print("/* Made by tests/reference/stats.py; do not edit. */")
print("static const struct {\n    int n, a, m, levels, every;\n    double auroc, low, high, ap, fpr95;\n} roc_cases[] = {")
for case in [(10, 7919, 10007, 0, 2), (57, 7919, 10007, 0, 3), (200, 7919, 10007, 5, 4), (1000, 104729, 15013, 0, 10),
             (1000, 104729, 15013, 20, 2), (5000, 7919, 10007, 0, 50), (3, 7919, 10007, 0, 2), (64, 1, 1000003, 1, 2)]:
    roc_case(*case)
print("};\n")
print("static const struct {\n    int n, m;\n    double shift, offset, scale;\n    int welch;\n"
      "    double t, df, d, log10_p;\n} ttest_cases[] = {")
for case in [(5, 7, 0.3, 0, 1), (2, 2, 0.5, 0, 2), (50, 40, 0.01, 0, 1), (1000, 1000, 0.5, 0, 1), (3000, 2000, 5, 0, 3),
             (4000, 4000, 40, 0, 0.5), (20, 30, 0.2, 1e9, 1), (300, 300, 0, 0, 1), (2000, 10, 1, 0, 10)]:
    ttest_case(*case)
print("};\n")
print("/* The z > 0 with P(|Z| < z) = confidence: confidence, z. */\nstatic const double confidences[][2] = {")
for confidence in [1e-9, 0.1, 0.5, 0.95, 0.999, 1 - 1e-10, 1 - 2.0 ** -53]:
    print("    {%.17g, %.17g}," % (confidence, float(mp.sqrt(2) * mp.erfinv(mpf(confidence)))))
print("};\n")
print("/* Two-sided tail of Student's t: t, df, log10 of the tail. */\nstatic const double tails[][3] = {")
for t, df in [(0.1, 1), (1, 1), (1e10, 1), (2, 2.5), (1e-8, 5), (3, 10), (40, 30), (300, 1e6), (1.7, 1e8), (12, 1e8),
              (140, 998), (1e3, 1e8), (0.5, 1e5), (1e5, 1e4), (1.7434, 1e8),
              (1e-3, 1e8), (1, 1e12), (1e200, 3), (1e4, 1e12)]:
    print("    {%.17g, %.17g, %.17g}," % (t, df, float(log10_tail(t, df))))
print("};")
