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

# Sums of floats in another order, through the steps: the length of the difference over that of the weights. Adam makes
# whole steps of gradients that nearly cancel out, whose sign may be another.
TOLERANCES = {"sgd": 1e-5, "adam": 1e-3}

flags = []
if "Open MPI" in subprocess.run(["mpiexec", "--version"], capture_output=True, text=True).stdout:
    flags = ["--allow-run-as-root", "--oversubscribe"]


def run(ranks, *arguments):
    return subprocess.run(["mpiexec", *flags, "-n", str(ranks), FIT_HEAD, *map(str, arguments)], capture_output=True,
                          text=True, timeout=300)


def refuse(message, *arguments):
    """MPI_Abort may end mpiexec before it has passed on what a rank wrote just before."""
    for _ in range(10):
        failed = run(2, *arguments)
        assert failed.returncode != 0
        if message in failed.stderr:
            return
    raise AssertionError(f"{message!r} was not said: {failed.stderr}")


def weights(path):
    """The parameters of a head's file, one after the other; and its scaling."""
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    found, scaling = [], {}
    for name, entry in sorted(header.items()):
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        part = data[8 + size + first:8 + size + last]
        if name.startswith("head."):
            found += struct.unpack(f"<{len(part) // 4}f", part)
        else:
            scaling[name] = part
    assert len(found) > 100_000 and scaling
    return found, scaling


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    random.seed(5)
    values = [random.gauss(0, 1 + j) for _ in range(ROWS) for j in range(COLS)]
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, {COLS}), }}"
    header = header.ljust(117) + "\n"
    (folder / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                                   + struct.pack(f"<{ROWS * COLS}f", *values))
    for optimizer, options in (("adam", []), ("sgd", ["rate=0.05", "covariance=diagonal", "reservoir=100"])):
        one = None
        for ranks in (1, 2, 4):
            head = folder / f"{ranks}.dum"
            done = run(ranks, folder / "x.npy", head, 1, f"batch={4 * BATCH // ranks}", "steps=60",
                       f"optimizer={optimizer}", *options)
            assert done.returncode == 0, done.stderr
            assert "step 60 of 60" in done.stderr, done.stderr
            found = weights(head)
            one = one or found
            assert found[1] == one[1], "the scaling differs"
            apart = math.dist(found[0], one[0]) / math.hypot(*one[0])
            print(f"{optimizer}, {ranks} ranks: {apart:.1e} apart")
            assert apart < TOLERANCES[optimizer]

    refuse("no.npy", folder / "no.npy", folder / "no.dum", 1)
    refuse("options.reduce is for objective local", folder / "x.npy", folder / "no.dum", 1, "objective=poe")
    assert run(1).returncode == 2
