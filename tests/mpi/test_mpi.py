#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/mpi/fit_head: 2 and 4 ranks train the head of one rank that has their batches together. Standard library only.
Usage: test_mpi.py [FIT_HEAD]    (skips without it: MPI is not installed)"""
import json
import math
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

if len(sys.argv) < 2 or shutil.which("mpiexec") is None:
    print("skipped: MPI is not installed (Debian: mpich)")
    sys.exit(77)
FIT_HEAD = sys.argv[1]
ROWS, COLS, BATCH = 500, 9, 16

# Sums of floats in another order, through the steps: the length of the difference over that of the tensor.
TOLERANCE = 5e-5

flags = []
if "Open MPI" in subprocess.run(["mpiexec", "--version"], capture_output=True, text=True).stdout:
    flags = ["--allow-run-as-root", "--oversubscribe"]


def run(ranks, *arguments):
    return subprocess.run(["mpiexec", *flags, "-n", str(ranks), FIT_HEAD, *map(str, arguments)], capture_output=True,
                          text=True, timeout=300)


def tensors(path):
    """Of a safetensors file: name -> floats."""
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    formats = {"F32": ("f", 4), "F64": ("d", 8)}
    found = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] in formats:
            letter, width = formats[entry["dtype"]]
            first, last = entry["data_offsets"]
            found[name] = struct.unpack(f"<{(last - first) // width}{letter}", data[8 + size + first:8 + size + last])
    return found


def apart(a, b):
    return math.dist(a, b) / max(math.hypot(*b), 1e-3)


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    random.seed(5)
    values = [random.gauss(0, 1 + j) for _ in range(ROWS) for j in range(COLS)]
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, {COLS}), }}"
    header = header.ljust(117) + "\n"
    (folder / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                                   + struct.pack(f"<{ROWS * COLS}f", *values))
    for options in (["optimizer=adam"], ["optimizer=sgd", "rate=0.05", "covariance=diagonal", "reservoir=100"]):
        expected = None
        for ranks in (1, 2, 4):
            head = folder / f"{ranks}.dum"
            done = run(ranks, folder / "x.npy", head, 1, f"batch={4 * BATCH // ranks}", "steps=60", *options)
            assert done.returncode == 0, done.stderr
            assert "step 60 of 60" in done.stderr, done.stderr
            found = tensors(head)
            expected = expected or found
            assert found.keys() == expected.keys() and "head.0.weight" in found, found.keys()
            most = max(apart(found[key], expected[key]) for key in expected)
            print(f"{options[0]}, {ranks} ranks: {most:.1e} apart")
            assert most < TOLERANCE

    failed = run(2, folder / "no.npy", folder / "no.dum", 1)
    assert failed.returncode != 0 and "no.npy" in failed.stderr, failed.stderr
    failed = run(2, folder / "x.npy", folder / "no.dum", 1, "objective=poe")
    assert failed.returncode != 0 and "options.reduce is for objective local" in failed.stderr, failed.stderr
    assert run(1).returncode == 2
