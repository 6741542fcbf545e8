#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fit and score of each detector beside scikit-learn's or PyOD's, on the same cores in one process.

  detectors.py --lib build/lib/libdum.so --data FOLDER [--sets skin,covertype,kdd1999,mnist] [--kinds knn,lof]
               [--out docs/detector-speed.json] [--rows N] [--only-row]
  detectors.py --report docs/detector-speed.json

FOLDER holds uci/ and adbench/. Prints for each pair: seconds of both, their ratio (peer over ours), and the same for one row
at a time; every result is kept in --out, which a later run continues. Medians of three runs where a run is short. A peer that would
take longer than --limit seconds by what it took for a tenth of the rows is left out. --only-row: one row at a time, of libdum; what else
--out has stays. --report: what is there, as Markdown. Needs NumPy, scikit-learn, PyOD."""
import argparse
import importlib
import json
import os
import pathlib
import statistics
import time

import numpy as np

from common import Dum, load

SETS = {"skin": "uci/skin", "covertype": "uci/covertype", "kdd1999": "uci/kdd1999", "mnist": "adbench/tabular-mnist",
        "cifar10-512": "adbench/resnet18-cifar10-0"}


# Kind: module, class, and what makes it comparable. Of PyOD's deep ones as many epochs as libdum's default.
PEERS = {
    "abod": ("pyod.models.abod", "ABOD", {"n_jobs": os.cpu_count()}),
    "autoencoder": ("pyod.models.auto_encoder", "AutoEncoder", {"hidden_neuron_list": [16, 8], "verbose": 0}),
    "copod": ("pyod.models.copod", "COPOD", {"n_jobs": os.cpu_count()}),
    "deepsvdd": ("pyod.models.deep_svdd", "DeepSVDD", {"verbose": 0}),
    "ecod": ("pyod.models.ecod", "ECOD", {"n_jobs": os.cpu_count()}),
    "elliptic": ("sklearn.covariance", "EllipticEnvelope", {}),
    "hbos": ("pyod.models.hbos", "HBOS", {}),
    "iforest": ("sklearn.ensemble", "IsolationForest", {"n_jobs": os.cpu_count()}),
    "kde": ("pyod.models.kde", "KDE", {}),
    "knn": ("pyod.models.knn", "KNN", {"n_jobs": os.cpu_count()}),
    "lof": ("pyod.models.lof", "LOF", {"n_jobs": os.cpu_count()}),
    "mahalanobis": ("sklearn.covariance", "LedoitWolf", {}),
    "ocsvm": ("sklearn.svm", "OneClassSVM", {}),
    "pca": ("pyod.models.pca", "PCA", {}),
}


def peer(kind):
    if kind not in PEERS:
        return None
    module, name, options = PEERS[kind]
    try:
        made = getattr(importlib.import_module(module), name)
    except ImportError as error:
        print(f"{kind}: no peer: {error}")
        return None
    return lambda d: made(**options, **({"n_features": d} if name == "DeepSVDD" else {}))


def scores_of(model, x):
    return model.decision_function(x) if hasattr(model, "decision_function") else model.mahalanobis(x)


def median_time(action, most=3):
    times, result = [], None
    while len(times) < most and sum(times) < 5:
        begin = time.perf_counter()
        result = action()
        times.append(time.perf_counter() - begin)
    return statistics.median(times), result


def one_row(calls, most):
    """Median seconds of a call."""
    begin, times = time.perf_counter(), []
    while len(times) < most and time.perf_counter() - begin < 2:
        start = time.perf_counter()
        calls[len(times) % len(calls)]()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def some(x):
    return np.ascontiguousarray(x[:: max(1, len(x) // 100)])


def compare(dum, kind, make, x, limit):
    ours, _ = median_time(lambda: dum.destroy(dum.fit(kind, x)))
    scorer = dum.fit(kind, x)
    our_scores, _ = median_time(lambda: dum.score(scorer, x))
    rows = some(x)
    result = {"rows": len(x), "cols": x.shape[1], "fit": ours, "score": our_scores, "row": one_row(dum.score_one(scorer, rows), 5000)}
    dum.destroy(scorer)
    if make is None:
        return result
    wide = x.astype(np.float64)
    tenth = wide[:: 10] if len(x) > 20000 else None
    if tenth is not None:
        seconds, _ = median_time(lambda: scores_of(make(x.shape[1]).fit(tenth), tenth), 1)
        result["peer_tenth"] = seconds
        if seconds * 10 > limit:  # at the least: that is what a cost in proportion to the rows would come to
            return result
    peer_fit, model = median_time(lambda: make(x.shape[1]).fit(wide), 1)
    peer_score, _ = median_time(lambda: scores_of(model, wide), 1)
    result |= {"peer_fit": peer_fit, "peer_score": peer_score, "peer_row": one_row([lambda row=row: scores_of(model, row) for row in rows.astype(np.float64)[:, None]], 50)}
    return result


def report(table):
    """Pairs with a peer, set by set; then the median of the ratios by kind, and over the kinds."""
    print("| kind | rows x columns | fit + score | theirs | one row | theirs |\n|---|---|--:|--:|--:|--:|")
    ratios = {}
    for name in SETS:
        for key in sorted(k for k in table if k.split()[1] == name):
            kind, f = key.split()[0], table[key]
            ours = f["fit"] + f["score"]
            cells = f"| `{kind}` | {name}, {f['rows']:,} x {f['cols']} | {ours:.3g} |"
            row = f"{1e6 * f['row']:.3g}"
            if "peer_fit" in f:
                theirs, their_row = f["peer_fit"] + f["peer_score"], f["peer_row"]
                ratios.setdefault(kind, []).append((theirs / ours, their_row / f["row"]))
                print(f"{cells} {theirs:.3g} ({theirs / ours:.1f} x) | {row} | {1e6 * their_row:,.0f} ({their_row / f['row']:.0f} x) |")
            elif "peer_tenth" in f:
                print(f"{cells} a tenth of the rows: {f['peer_tenth']:.3g} | {row} | |")
    medians = {kind: [statistics.median(r[i] for r in found) for i in (0, 1)] for kind, found in sorted(ratios.items())}
    print("\nMedians of the ratios: " + ", ".join(f"`{kind}` {a:.1f} ({b:.0f})" for kind, (a, b) in medians.items())
          + f"; over the kinds {statistics.median(a for a, _ in medians.values()):.1f} "
          f"({statistics.median(b for _, b in medians.values()):.0f}); the least of all {min(a for r in ratios.values() for a, _ in r):.2f} "
          f"({min(b for r in ratios.values() for _, b in r):.0f})")


def main():
    parser = argparse.ArgumentParser()
    for name in ("--lib", "--data", "--report"):
        parser.add_argument(name)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--kinds")
    parser.add_argument("--out")
    parser.add_argument("--rows", type=int, default=1 << 40)
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--only-row", action="store_true")
    options = parser.parse_args()
    if options.report:
        return report(json.loads(pathlib.Path(options.report).read_text()))
    if not options.lib or not options.data:
        parser.error("--lib and --data are needed, or --report")
    dum = Dum(options.lib)
    out = pathlib.Path(options.out) if options.out else None
    table = json.loads(out.read_text()) if out and out.exists() else {}
    for kind in options.kinds.split(",") if options.kinds else [k for k in dum.kinds() if k != "dum"]:
        for name in options.sets.split(","):
            x = np.ascontiguousarray(load(pathlib.Path(options.data) / SETS[name] / "X.npy")[:options.rows].astype(np.float32))
            if options.only_row:
                scorer, rows = dum.fit(kind, x), some(x)
                found = {**table[f"{kind} {name}"], "row": one_row(dum.score_one(scorer, rows), 5000)}
                dum.destroy(scorer)
            else:
                found = compare(dum, kind, peer(kind), x, options.limit)
            table[f"{kind} {name}"] = found
            text = f"{kind:12} {name:12} {len(x):7} x {x.shape[1]:4}: fit {found['fit']:8.3f} score {found['score']:8.3f} row {1e6 * found['row']:8.1f} us"
            if "peer_fit" in found:
                text += (f"; peer fit {found['peer_fit']:8.3f} score {found['peer_score']:8.3f} row {1e6 * found['peer_row']:9.1f} us; times ours: "
                         f"{(found['peer_fit'] + found['peer_score']) / (found['fit'] + found['score']):6.1f}, row {found['peer_row'] / found['row']:6.1f}")
            elif "peer_tenth" in found:
                text += f"; peer: {found['peer_tenth']:.1f} s for a tenth of the rows"
            print(text, flush=True)
            if out:
                out.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
