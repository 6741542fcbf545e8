#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Table 4 of Wu & Goodman 2020: DUM on SimCLR embeddings of a table's rows beside DUM on the rows themselves.

  table4.py --lib build/lib/libdum.so --data FOLDER [--seeds 5] [--steps 1000] > docs/table4.md

FOLDER/uci holds a folder for each set of that table, with X.npy(.gz) and y.npy(.gz). The encoder is an mlp trained with
SimCLR on the rows that are then scored, labels unseen, with its defaults; the paper does not say which network and
augmentations it used. dum: the defaults; dum-poe: the paper's objective and training, but 256 units for its 4096. Mean
AUROC in percent over the seeds, and the largest distance from it. Needs NumPy."""
import argparse
import ctypes
import pathlib

import numpy as np

from common import Dum, read_set
from table2 import POE, auroc, minmax

PAPER = {"arrhythmia": (76.0, 76.6), "ionosphere": (82.1, 81.0), "isolet": (99.9, 100.0), "mfeat": (99.1, 99.9),
         "optdigits": (95.4, 99.6), "pima": (82.0, 81.5), "spambase": (82.5, 83.4), "statlog": (84.7, 89.2),
         "wdbc": (96.2, 96.9)}
METHODS = {"dum": [], "dum-poe": POE + [("scaling", "minmax")]}


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def embed(dum, x, seed, steps):
    """SimCLR embeddings of all rows."""
    encoder, data = ctypes.c_void_p(), ctypes.c_void_p()
    dum.call("dum_encoder_create", dum.context, b"mlp", ctypes.byref(encoder))
    for name, value in (("steps", steps), ("seed", seed)):
        dum.call("dum_encoder_set_number", encoder, name.encode(), ctypes.c_double(value))
    dum.call("dum_dataset_from_memory", dum.context, pointer(x), ctypes.c_int64(len(x)), ctypes.c_int32(x.shape[1]),
             ctypes.c_int64(0), ctypes.byref(data))
    dum.call("dum_encoder_fit", encoder, data, None)
    cols = dum.lib.dum_encoder_embedding_cols(encoder, ctypes.c_int32(x.shape[1]))
    out = np.empty((len(x), cols), np.float32)
    dum.call("dum_encoder_embed_dataset", encoder, data, pointer(out))
    dum.lib.dum_dataset_destroy(data)
    dum.lib.dum_encoder_destroy(encoder)
    return out


def judge(dum, x, y, options, seed):
    scorer = dum.fit("dum", x, options + [("seed", seed)])
    found = auroc(dum.score(scorer, x), y)
    dum.destroy(scorer)
    return 100 * found


def show(values):
    return f"{np.mean(values):.1f} ± {np.abs(values - np.mean(values)).max():.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lib", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_args()
    dum, seeds = Dum(args.lib), range(args.seeds)
    heads = [f"{m} on {what}" for m in METHODS for what in ("SimCLR", "features")]
    print("| set | rows | outliers | " + " | ".join(heads) + " | paper: SimCLR | paper: features |")
    print("|---" * (len(heads) + 5) + "|")
    means = []
    for name in PAPER:
        folder = pathlib.Path(args.data) / "uci" / name
        if not folder.exists():
            continue
        x, y = read_set(folder)
        embedded = [embed(dum, x, seed, args.steps) for seed in seeds]
        cells = []
        for options in METHODS.values():
            cells.append([judge(dum, embedded[seed], y, options, seed) for seed in seeds])
            raw = minmax(x) if options else x
            cells.append([judge(dum, raw, y, options, seed) for seed in seeds])
        means.append([np.mean(c) for c in cells] + list(PAPER[name]))
        print(f"| {name} | {len(x)} | {int(y.sum())} | " + " | ".join(show(np.array(c)) for c in cells)
              + f" | {PAPER[name][0]:.1f} | {PAPER[name][1]:.1f} |", flush=True)
    print("| mean | | | " + " | ".join(f"{v:.1f}" for v in np.mean(means, 0)) + " |")


main()
