#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Time and memory of each detector as rows grow: fit, then score of the same rows.

  growth.py --lib build/lib/libdum.so [--kinds knn,lof] [--cols 32] [--limit 120] [--out docs/growth.json]

Rows are of ten Gaussian clusters, of which one row in a hundred is scattered. Each measurement is a process of its own, so that its
peak of memory is its own; one that takes longer than --limit seconds is ended, and larger ones are left out. The exponent is the
slope of log(time) by log(rows) over the measurements of more than 20 ms. Needs NumPy."""
import argparse
import json
import math
import pathlib
import resource
import subprocess
import sys
import time

import numpy as np

from common import Dum

ROWS = [1000, 10000, 100000, 1000000]


def made_rows(count, cols):
    random = np.random.default_rng(0)
    x, centres = random.standard_normal((count, cols), dtype=np.float32), 4 * random.standard_normal((10, cols), dtype=np.float32)
    for first in range(0, count, 1000):
        part = x[first:first + 1000]
        part += centres[random.integers(10, size=len(part))]
        part[random.random(len(part)) < 0.01] *= 2
    return x


def measure(lib, kind, rows, cols):
    x = made_rows(rows, cols)
    dum = Dum(lib)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    scorer = dum.fit(kind, x)
    fitted = time.perf_counter()
    dum.score(scorer, x)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"fit": fitted - begin, "score": end - fitted, "mib": (peak - before) / 1024}))


def exponent(found):
    points = [(math.log(int(n)), math.log(r["fit"] + r["score"])) for n, r in found.items() if r and r["fit"] + r["score"] > 0.02]
    return float(np.polyfit(*zip(*points), 1)[0]) if len(points) > 1 else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lib", required=True)
    parser.add_argument("--kinds")
    parser.add_argument("--cols", type=int, default=32)
    parser.add_argument("--limit", type=float, default=120)
    parser.add_argument("--out")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return measure(options.lib, options.one[0], int(options.one[1]), options.cols)
    out = pathlib.Path(options.out) if options.out else None
    table = json.loads(out.read_text()) if out and out.exists() else {}
    for kind in options.kinds.split(",") if options.kinds else Dum(options.lib).kinds():
        found = table.setdefault(kind, {}).setdefault("rows", {})
        for rows in ROWS:
            command = [sys.executable, __file__, "--lib", options.lib, "--cols", str(options.cols), "--one", kind, str(rows)]
            try:
                done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=options.limit)
                found[str(rows)] = json.loads(done.stdout)
            except subprocess.TimeoutExpired:
                found[str(rows)] = None
                break
        table[kind]["exponent"] = exponent(found)
        if out:
            out.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
        cells = " ".join(f"{r['fit'] + r['score']:9.3f} s {r['mib']:6.0f} MiB" if r else f"{'/o':>22}" for r in found.values())
        power = table[kind]["exponent"]
        print(f"{kind:12} {cells}  exponent {'-' if power is None else f'{power:.2f}'}", flush=True)


if __name__ == "__main__":
    main()
