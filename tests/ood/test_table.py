#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dum ood on images that it makes itself. Standard library only. Usage: test_table.py path/to/dum"""
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

DUM = sys.argv[1]
random.seed(7)


def write_npy(path, shape, values):
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(values))
    return path


def image(kind):
    """A class is a stripe of its own height."""
    return [random.randrange(200, 256) if y // 10 == kind else random.randrange(60) for y in range(32)
            for _ in range(32 * 3)]


def images(path, count):
    return write_npy(path, (count, 32, 32, 3), [v for i in range(count) for v in image(i % 3)])


def run(*arguments, code=0, message=""):
    done = subprocess.run([DUM, "ood", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, f"{arguments}: exit code {done.returncode}, expected {code}: {done.stderr}"
    assert message in done.stderr, f"{arguments}: {done.stderr!r} lacks {message!r}"
    return done.stdout


with tempfile.TemporaryDirectory() as folder:
    at = pathlib.Path(folder)
    train, test = images(at / "train.npy", 60), images(at / "test.npy", 30)
    labels = write_npy(at / "labels.npy", (60,), [i % 3 for i in range(60)])
    noise = write_npy(at / "noise.npy", (20, 32, 32, 3), random.choices(range(256), k=20 * 3072))
    grey = write_npy(at / "grey.npy", (20, 28, 28), random.choices(range(256), k=20 * 784))
    inputs = ("--train", train, "--labels", labels, "--test", test)
    small = ("--set", "depth=8", "--set", "units=2", "--set", "batch=20", "--set", "epochs=2", "--set-simclr",
             "epochs=1", "--set-dum", "steps=20", "--models", at)
    everything = (*inputs, "--near", f"no\"ise={noise}", "--far", f"grey={grey}", *small)
    assert "dum ood " in run("--help")
    run(*everything, "--markdown", at / "t.md", "--json", at / "t.json")
    lines = (at / "t.md").read_text().splitlines()
    found = json.loads((at / "t.json").read_text())
    assert len(lines) == 2 + len(found["results"]) and found["train_rows"] == 60, lines
    assert {(r["set"], r["distance"]) for r in found["results"]} == {('no"ise', "near"), ("grey", "far")}
    assert {r["encoder"] for r in found["results"]} == {"supervised", "rotation", "simclr"}
    assert {"msp", "energy", "mds", "flow", "gram", "rotation", "vim", "knn", "mahalanobis", "dum"} <= \
        {r["scorer"] for r in found["results"]}
    for r in found["results"]:
        for name in ("auroc", "average_precision", "fpr95"):
            value, low, high = r[name]
            assert 0 <= low <= high <= 1 and 0 <= value <= 1, r
    best = max(r["auroc"][0] for r in found["results"] if r["set"] == "grey")
    assert best > 0.95, best
    # The encoders of the first run are there: the same numbers.
    run(*everything, "--json", at / "again.json", "--threads", 1)
    again = json.loads((at / "again.json").read_text())
    assert all(v == 0 for v in again["training_seconds"].values())
    for a, b in zip(found["results"], again["results"]):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}, (a, b)
    # What is wrong is said.
    run(*inputs, code=2, message="a --near or --far")
    run(*everything, "--limit", "x", code=2, message='--limit is "x"')
    run(*everything, "--nonsense", "1", code=2, message="--help")
    run("--train", train, "--labels", labels, "--test", test, "--far", f"a={labels}", *small, code=1,
        message="neither N x 32")
    run("--train", train, "--labels", noise, "--test", test, "--far", f"a={grey}", *small, code=1,
        message="one a training image")
    run("--train", at / "none.npy", "--labels", labels, "--test", test, "--far", f"a={grey}", code=1, message="none.npy")
    run(*everything, "--set-dum", "nonsense=1", code=1, message="nonsense")
print("ok")
