# SPDX-License-Identifier: MIT
"""What Python adds: the time of one row, and the memory of a million. For the time of C alone, of the same rows and kinds:
`cargo bench --bench overhead` in bindings/rust."""

import resource
import time

import numpy as np

import dum

ROUNDS, CALLS, COLS = 21, 5000, 30


def nanoseconds(call):
    """Of one call, the least of the rounds."""
    least = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        least = min(least, time.perf_counter() - start)
    return 1e9 * least / CALLS


def peak():
    """MB that the process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


i, j = np.mgrid[:500, :COLS]
x = np.sin((i * 31 + j * j).astype(np.float32))
row = x[:1]
print(f"nanoseconds a row of {COLS} columns: Scorer.score (the least of {ROUNDS} rounds)")
for kind in ["hbos", "ecod", "mahalanobis", "iforest", "dum"]:
    scorer = dum.Scorer(kind, **({"steps": 50} if kind == "dum" else {})).fit(x)
    print(f"{kind:12} {nanoseconds(lambda scorer=scorer: scorer.score(row)):8.0f}", flush=True)

print("a million rows of 16 columns: MB of the rows, of the scores, and what the peak grew by while they were scored")
scorer = dum.Scorer("hbos").fit(x[:, :16])
many = np.random.default_rng(0).standard_normal(size=(1_000_000, 16), dtype=np.float32)
before = peak()
scores = scorer.score(many)
print(f"{many.nbytes / 2**20:8.1f} {scores.nbytes / 2**20:8.1f} {peak() - before:8.1f}")
