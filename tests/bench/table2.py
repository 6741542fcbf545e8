#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every scorer kind on the sets of Table 2 of Wu & Goodman 2020, or on the ADBench selection.

  table2.py --lib build/lib/libdum.so --data FOLDER --out docs/table2 [--suite uci|adbench] [--limit 120] [--seeds 5]
            [--methods knn,dum-poe] [--sets PART] [--again PART] [--report]

FOLDER/SUITE holds a folder for each set, with X.npy(.gz) and y.npy(.gz). A cell is one method on one set in one preparation;
it runs in a child process, which gets all processors and is killed after --limit seconds. Of the seeds, those that were
done by then count; none: the cell is over, /o. OUT.json keeps every cell as soon as it is done, and a cell that is there is not
run again, unless --again names it. OUT.md and OUT.svg are made from OUT.json; what stands in OUT.md before the line
"<!-- table2.py -->" is left as it is. Needs NumPy.

The methods are the kinds that the library names, with their defaults, and dum-poe: the paper's objective and training, but
256 units for its 4096, which are out of a CPU's reach. Preparations: minmax, the paper's: columns to 0 to 1 here, the kind's own
scaling off, and the paper's training for the autoencoder; default: columns as they are, and the kind's own scaling at its
default, or zscore where that is none. Kinds with an option `seed` run once a seed, the others once. All rows in the suite uci;
20000 random ones (seed 0) in adbench. Fit and score the same rows, labels unseen. Scores are never flipped."""
import argparse
import ctypes
import json
import multiprocessing
import os
import pathlib
import re
import signal
import time

import numpy as np

import table2_report
from common import MOST_ROWS, Dum, read_set

POE = [("preset", "paper"), ("width", 256)]
FEW_EPOCHS_ROWS = 200000  # "For REPEN and our method, we train for 5 epochs only for very large datasets" (A.4)
FEW_EPOCHS = [("epochs", 5)]
AUTOENCODER_ROWS = 10000  # below it the paper's autoencoder has batches of 32 and 100 epochs, else 256 and 20 (A.4)
PREPARATIONS = {"uci": ("minmax", "default"), "adbench": ("default",)}
FORK = multiprocessing.get_context("fork")


def midranks(scores):
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def auroc(scores, labels):
    outliers = labels == 1
    n1, n0 = outliers.sum(), (~outliers).sum()
    return float((midranks(scores)[outliers].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def average_precision(scores, labels):
    """Mean over the outliers of the precision at their score; equal scores are taken together."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    hits = np.bincount(inverse, weights=labels)[::-1]
    return float((hits * np.cumsum(hits) / np.cumsum(counts[::-1])).sum() / hits.sum())


def minmax(x):
    low, high = x.min(0).astype(np.float64), x.max(0).astype(np.float64)
    return np.ascontiguousarray(((x - low) / np.where(high > low, high - low, 1)).astype(np.float32))


def in_child(work, limit=None):
    """What work(send) sends from a process of its own, and why it did not end well: None, "over", or words."""
    receive, send = FORK.Pipe(duplex=False)

    def child():
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a killed runner leaves no child behind
        receive.close()
        try:
            work(send.send)
        except RuntimeError as error:
            send.send(error)
        except BrokenPipeError:  # the runner has just been killed
            pass

    process, found, end = FORK.Process(target=child, daemon=True), [], None
    process.start()
    send.close()
    begin = time.monotonic()
    try:
        while end is None:
            if receive.poll(None if limit is None else max(0, begin + limit - time.monotonic())):
                found.append(receive.recv())
            else:
                process.kill()
                end = "over"
    except EOFError:
        pass
    process.join()
    if found and isinstance(found[-1], RuntimeError):
        end = str(found.pop())
    elif end is None and process.exitcode != 0:
        end = f"ended with {process.exitcode}"
    return found, end


# Kinds that score what an encoder of images says, and are judged in ood.md.
OF_ENCODERS = {"energy", "flow", "gram", "mds", "msp", "rotation", "uncertainty", "vim"}


def methods_of(lib):
    """Of each method its kind and options, and the kind's defaults."""
    def work(send):
        dum = Dum(lib)
        send([(kind, dum.defaults(kind)) for kind in dum.kinds() if kind not in OF_ENCODERS])

    found, end = in_child(work)
    if end:
        raise SystemExit(f"table2.py: {lib}: {end}")
    methods = {}
    for kind, defaults in found[0]:
        methods[kind] = (kind, [], defaults)
        if kind == "dum":
            methods["dum-poe"] = (kind, POE, defaults)
    return methods


def options_for(method, preparation, rows):
    kind, options, defaults = method
    options = list(options)
    if "scaling" in defaults:
        ours = defaults["scaling"] if not options and defaults["scaling"] != "none" else "zscore"
        options.append(("scaling", "none" if preparation == "minmax" else ours))
    if method[1] is POE and rows > FEW_EPOCHS_ROWS:
        options += FEW_EPOCHS
    if kind == "autoencoder" and preparation == "minmax":
        options += [("batch", 32), ("epochs", 100)] if rows < AUTOENCODER_ROWS else [("batch", 256), ("epochs", 20)]
    return options


def run_cell(lib, method, preparation, x, y, seeds, limit):
    kind, _, defaults = method
    options = options_for(method, preparation, len(x))
    runs = [[("seed", s)] for s in range(seeds)] if "seed" in defaults else [[]]

    def work(send):
        dum = Dum(lib)
        for seed in runs:
            begin = time.perf_counter()
            scorer = dum.fit(kind, x, options + seed)
            fitted = time.perf_counter()
            scores = dum.score(scorer, x)
            scored = time.perf_counter()
            dum.destroy(scorer)
            if np.isnan(scores).any():
                raise RuntimeError("a score is not a number")
            send((auroc(scores, y), average_precision(scores, y), fitted - begin, scored - fitted))

    found, end = in_child(work, limit)
    cell = {"n": len(x), "d": x.shape[1], "outliers": int(y.sum()), "seeds": len(runs), "limit": limit,
            "options": dict(options)}
    for index, name in enumerate(("auroc", "ap", "fit", "score")):
        cell[name] = [round(row[index], 6) for row in found]
    return cell | ({"end": end} if end else {})


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def keep(path, table):
    """A kill leaves the old file or the new one."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(table, indent=0, sort_keys=True) + "\n")
    os.replace(new, path)


def set_size(folder):
    return sum(p.stat().st_size for p in folder.glob("X.npy*"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("--lib", "--data", "--out"):
        parser.add_argument(name, required=True)
    parser.add_argument("--suite", choices=list(PREPARATIONS), default="uci")
    parser.add_argument("--limit", type=float, default=120, help="seconds for a cell")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", help="only these, with commas")
    parser.add_argument("--sets", default="", help="only those whose name matches this regular expression")
    parser.add_argument("--again", help="run cells SET|PREPARATION|METHOD that match this regular expression again")
    parser.add_argument("--report", action="store_true", help="run nothing, write the report")
    args = parser.parse_args()
    store = pathlib.Path(args.out + ".json")
    store.parent.mkdir(parents=True, exist_ok=True)
    table = json.loads(store.read_text()) if store.exists() else {"suite": args.suite, "processors": [], "cells": {}}
    if table["suite"] != args.suite:
        raise SystemExit(f"table2.py: {store} is of the suite {table['suite']}")
    if not args.report:
        run(args, store, table)
    table_methods = list(methods_of(args.lib))
    table2_report.write(pathlib.Path(args.out), table, table_methods)


def run(args, store, table):
    cells, methods = table["cells"], methods_of(args.lib)
    chosen = args.methods.split(",") if args.methods else list(methods)
    folders = sorted((p.parent for p in (pathlib.Path(args.data) / args.suite).glob("*/X.npy*")), key=lambda f: (set_size(f), f.name))
    todo = [(f, p, m) for f in folders if re.search(args.sets, f.name) for p in PREPARATIONS[args.suite] for m in chosen]
    if args.again:
        for key in [k for k in cells if re.search(args.again, k)]:
            del cells[key]
    todo = [(f, p, m) for f, p, m in todo if f"{f.name}|{p}|{m}" not in cells]
    loaded = prepared = None
    for count, (folder, preparation, name) in enumerate(todo, 1):
        if loaded != folder:
            raw, y = read_set(folder, None if args.suite == "uci" else MOST_ROWS)
            loaded, prepared = folder, None
        if prepared != preparation:
            x, prepared = minmax(raw) if preparation == "minmax" else raw, preparation
        key = f"{folder.name}|{preparation}|{name}"
        cell = cells[key] = run_cell(args.lib, methods[name], preparation, x, y, args.seeds, args.limit)
        table["processors"] = sorted({*table["processors"], processor()})
        keep(store, table)
        value = f"{100 * np.mean(cell['auroc']):.1f}" if cell["auroc"] else "/o" if cell["end"] == "over" else cell["end"]
        print(f"[{count}/{len(todo)}] {key}: {value} ({len(cell['auroc'])} of {cell['seeds']} runs, "
              f"{sum(cell['fit']) + sum(cell['score']):.1f} s)", flush=True)


if __name__ == "__main__":
    main()
