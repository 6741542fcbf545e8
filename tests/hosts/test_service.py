#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The C++ service: right bits from many threads, in bounded memory, until a signal. It checks its answers itself.
Standard library only. Usage: test_service.py path/to/service path/to/dum [--sanitized]"""
import pathlib
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile

SERVICE, DUM, SANITIZED = sys.argv[1], sys.argv[2], "--sanitized" in sys.argv
COLS = 30


def write_npy(path, rows):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
                     + b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows))
    return path


def ceiling():
    """Of memory that can be written, stacks included. A sanitizer maps terabytes, and keeps what is freed."""
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29))


def start(*arguments):
    return subprocess.Popen([SERVICE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=ceiling)


def end(process, code=0, message=""):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"exit code {process.returncode}, expected {code}: {out}{err}"
    assert message in err, f"{err!r} lacks {message!r}"
    return out


def check(report, workers):
    print(report)
    answers, given, refused, wrong = map(int, re.match(
        r"(\d+) answers in [\d.]+ s by (\d+) workers, .*; (\d+) refused, (\d+) wrong", report).groups())
    assert given == workers and wrong == 0 and refused == answers // 1000
    # The machine decides how many there are; whether there are enough to measure, too.
    grown = re.search(r"grew by (-?\d+) KiB", report)
    if grown and not SANITIZED:
        assert int(grown[1]) < 4096, report


def test_service(f, rows):
    end(start("--seconds"), 2, "usage")
    end(start("--seconds", "soon", rows), 2, "usage")
    end(start(f / "none.npy"), 1, "none.npy")
    check(end(start("--seconds", 2, "--workers", 4, rows)), 4)


def test_signal_and_model(f, rows):
    subprocess.run([DUM, "fit", "--scorer", "knn", "--data", rows, "--model", f / "m.dum"], check=True,
                   capture_output=True)
    service = start("--workers", 3, rows, f / "m.dum")
    try:
        service.wait(timeout=2)
    except subprocess.TimeoutExpired:
        service.send_signal(signal.SIGTERM)
    else:
        raise AssertionError("it ended by itself")
    check(end(service), 3)
    end(start("--seconds", 1, write_npy(f / "narrow.npy", [[1.0, 2.0]]), f / "m.dum"), 1, "service: ")


def main():
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        f = pathlib.Path(folder)
        rows = write_npy(f / "rows.npy", [[rng.gauss(0, 1) for _ in range(COLS)] for _ in range(1000)])
        test_service(f, rows)
        test_signal_and_model(f, rows)


if __name__ == "__main__":
    main()
