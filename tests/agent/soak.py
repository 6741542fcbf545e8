#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dum-agent at full speed for long: a client sends without a pause, another reads the metrics each second. Prints what
is measured; fails where a row is lost or memory grows.
Usage: soak.py path/to/dum path/to/dum-agent [--seconds 3600] [--format float32|csv]"""
import argparse
import pathlib
import signal
import tempfile
import threading
import time

from common import Agent, as_csv, as_floats, make_rows, parse, prepare

p = argparse.ArgumentParser()
p.add_argument("dum")
p.add_argument("agent")
p.add_argument("--seconds", type=float, default=3600)
p.add_argument("--format", default="float32", choices=["float32", "csv"])
a = p.parse_args()

BLOCK = 100000  # rows
rows = make_rows(BLOCK, 60)
rows[17][1] = float("nan")
block = as_floats(rows) if a.format == "float32" else as_csv(rows)
with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    prepare(a.dum, folder)
    agent = Agent(a.agent, folder, "--format", a.format, "--interval", "10", port=True)
    blocks, stop = [], threading.Event()

    def send():
        with agent.connect() as client:
            while not stop.is_set():
                client.sendall(block)
                blocks.append(1)

    sender = threading.Thread(target=send)
    sender.start()
    begun, sizes, told = time.monotonic(), [], 0
    while (passed := time.monotonic() - begun) < a.seconds:
        time.sleep(1)
        found = parse(agent.get()[1])
        sizes.append(agent.memory())
        if passed >= told:
            print(f"{passed:6.0f} s: {found['dum_rows_total']:.0f} rows, {sizes[-1]} KiB", flush=True)
            told += max(60, a.seconds / 60)
    stop.set()
    sender.join()
    seconds = time.monotonic() - begun
    agent.end(signal.SIGTERM)
    found, sent = agent.metrics(), len(blocks) * BLOCK
    early, late = sizes[len(sizes) // 10], max(sizes[len(sizes) // 2:])
    print(f"{a.format}: {seconds:.0f} s, {sent} rows sent, {found['dum_rows_total']:.0f} counted, "
          f"{found['dum_bad_rows_total']:.0f} of them bad ({len(blocks)} sent), {sent / seconds / 1e6:.2f} million a second; "
          f"resident KiB after a tenth {early}, most in the second half {late}; {len(sizes)} scrapes, "
          f"{found['dum_write_errors_total']:.0f} write errors, {found['dum_alarms_total']:.0f} alarms")
    assert found["dum_rows_total"] == sent == found["dum_saved_rows"], "a row was lost"
    assert found["dum_bad_rows_total"] == len(blocks)
    assert late <= early + 256, "memory grows"
