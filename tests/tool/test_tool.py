#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every command of the tool: answers, exit codes, messages. Standard library only.
Usage: test_tool.py path/to/dum path/to/wdbc.csv path/to/options.md"""
import base64
import csv
import html.parser
import json
import os
import pathlib
import pty
import random
import re
import resource
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree
import zlib

DUM, WDBC, OPTIONS = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])


def run(*arguments, code=0, message=None, **more):
    """Runs the tool; checks its exit code and that its stderr holds `message`; returns stdout."""
    done = subprocess.run([DUM, *map(str, arguments)], capture_output=True, text=True, **more)
    assert done.returncode == code, f"{arguments}: exit code {done.returncode}, expected {code}: {done.stderr}"
    if message is not None:
        assert message in done.stderr, f"{arguments}: {done.stderr!r} lacks {message!r}"
    if code == 0 and message is None:
        assert "dum:" not in done.stderr, done.stderr
    return done.stdout


def write_npy(path, rows, kind="<f4"):
    flat = [x for row in rows for x in row] if isinstance(rows[0], list) else rows
    shape = f"({len(rows)}, {len(rows[0])})" if isinstance(rows[0], list) else f"({len(rows)},)"
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    head = head.ljust(117) + "\n"
    code = {"<f4": "f", "<f8": "d", "|u1": "B", "|i1": "b", "<u2": "H", "<i8": "q"}[kind]
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
                     + struct.pack(f"<{len(flat)}{code}", *flat))
    return path


def write_images(path, shape, pixels, kind="|u1"):
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(pixels))
    return path


def read_png(path):
    """Checks every byte of structure; rows of (red, green, blue)."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, []
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks.append((kind, body))
        at += 12 + size
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"] and chunks[2][1] == b""
    width, height, *form = struct.unpack(">IIBBBBB", chunks[0][1])
    assert form == [8, 2, 0, 0, 0]
    raw = zlib.decompress(chunks[1][1])
    assert len(raw) == height * (1 + 3 * width) and not any(raw[::1 + 3 * width])
    lines = [raw[y * (1 + 3 * width) + 1:(y + 1) * (1 + 3 * width)] for y in range(height)]
    return [[tuple(line[3 * x:3 * x + 3]) for x in range(width)] for line in lines]


def read_npy(path):
    data = path.read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    return list(struct.unpack(f"<{(len(data) - start) // 8}d", data[start:]))


def write(path, text):
    path.write_bytes(text.encode())
    return path


def main(scratch):
    random.seed(1)
    rows = [[random.gauss(0, 1) for _ in range(4)] for _ in range(120)]
    outliers = [[random.gauss(6, 1) for _ in range(4)] for _ in range(10)]
    x = write_npy(scratch / "x.npy", rows + outliers)
    y = write_npy(scratch / "y.npy", [0] * 120 + [1] * 10, "|u1")
    model, scores = scratch / "m.dum", scratch / "s.npy"
    fit = ("fit", "--set", "width=16", "--set", "steps=40", "--quiet", "--model", model)

    # usage
    run(code=2, message="dum fit")
    run("dance", code=2, message='no command "dance"')
    run("fit", code=2, message="--data is needed")
    run("fit", "--data", x, code=2, message="--model is needed")
    run("fit", "--data", code=2, message="--data needs a value")
    run("fit", "--data", "", "--model", model, code=1, message='cannot open ""')
    run("fit", "--data", x, "--data", x, code=2, message="expected the option once")
    run("fit", "--pvalue", code=2, message="no option --pvalue")
    run("fit", "x.npy", code=2, message='unexpected argument "x.npy"')
    run(*fit, "--data", x, "--set", "width", code=2, message="expected name=value")
    run(*fit, "--data", x, "--set", "width=wide", code=2, message="expected a number")
    run(*fit, "--data", x, "--set", "width=-3", code=2, message="option width is -3")
    run(*fit, "--data", x, "--holdout", 1.5, code=2, message="--holdout: option holdout is 1.5")
    run(*fit, "--data", x, "--set", "colour=red", code=2, message='no option "colour"')
    run(*fit, "--data", x, "--set", "objective=magic", code=2, message="expected local|poe")
    run(*fit, "--data", x, "--scorer", "magic", code=2, message="expected one of: dum")
    run(*fit, "--data", x, "--threads", "many", code=2, message="--threads: bad value")
    run(*fit, "--data", x, "--backend", "abacus", code=1, message="abacus")
    assert not model.exists()
    assert run("--version").startswith("dum ")
    assert "dum score" in run("--help") and "dum fit" in run("--help")
    assert "dum fit" in run("fit", "--help") and "dum eval" not in run("fit", "--help")
    assert run("-h") == run("--help") and run("noise", "-h") == run("noise", "--help") and run("-h") != run("fit", "-h")
    run("fit", "--quiet=1", code=2, message="--quiet takes no value")
    run("fit", "--dat=x", code=2, message="no option --dat=x")
    run("fit", f"--data={x}", "--set=width=wide", "--model", model, code=2, message="option width is \"wide\"")
    run("fit", "-q", code=2, message="no option -q")
    run("dance", "--help", code=2, message='no command "dance"')

    # the main job
    run(*fit, "--data", x, "--seed", 5, "--threads", 1, "--holdout", 0.2)
    one = model.read_bytes()
    run(*fit, "--data", x, "--seed", 5, "--threads", 2, "--holdout", 0.2)
    assert model.read_bytes() == one, "one seed, two thread counts, two models"
    run("score", "--model", model, "--data", x, "--out", scores)
    values = read_npy(scores)
    assert len(values) == 130
    printed = run("score", "--model", model, "--data", x)
    assert [float(v) for v in printed.split()] == values
    table = run("score", "--model", model, "--data", x, "--out", "-", "--pvalue", "--false-alarm-rate", 0.2)
    lines = table.splitlines()
    assert lines[0] == "score,p,alarm" and len(lines) == 131
    assert all(0 < float(line.split(",")[1]) <= 1 and line.split(",")[2] in "01" for line in lines[1:])
    run("score", "--model", model, "--data", x, "--out", scratch / "s.csv", "--pvalue")
    assert (scratch / "s.csv").read_text().startswith("score,p\n")
    judged = json.loads(run("eval", "--scores", scores, "--labels", y, "--bootstrap", 100))
    assert judged["n"] == 130 and judged["positives"] == 10 and judged["auroc"] > 0.9
    assert judged["folded"] == max(judged["auroc"], 1 - judged["auroc"])
    for key in ("auroc", "ap", "fpr95"):
        assert judged[key + "_low"] <= judged[key] <= judged[key + "_high"]
    a, b = write_npy(scratch / "a.npy", rows), write_npy(scratch / "b.npy", outliers)
    compared = json.loads(run("compare", "--reference", a, "--sample", b, "--model", model))
    assert compared["n_reference"] == 120 and compared["n_sample"] == 10
    assert compared["pooled"]["t"] > 2 and compared["welch"]["log10_p"] < 0 and compared["auroc"] > 0.9
    told = json.loads(run("info", model))
    assert told["kind"] == "scorer.dum" and told["columns"] == 4 and told["options"]["width"] == 16
    assert told["calibration_rows"] == 26 and told["options"]["seed"] == 5
    listed = run("scorers")
    assert listed.startswith("dum\n") and "neighbours" in listed
    assert "blis  available" in run("backends")

    # CSV: header or not, label, quotes, line ends, delimiters
    def csv(name, text):
        return write(scratch / name, text)

    plain = csv("plain.csv", "\n".join(",".join(f"{v:.6f}" for v in r) for r in rows))
    run(*fit, "--data", plain)
    without = model.read_bytes()
    run(*fit, "--data", csv("crlf.csv", plain.read_text().replace("\n", "\r\n") + "\r\n"))
    assert model.read_bytes() == without
    run(*fit, "--data", csv("semi.csv", plain.read_text().replace(",", ";") + "\n\n"))
    assert model.read_bytes() == without
    run(*fit, "--data", csv("tab.csv", plain.read_text().replace(",", "\t")))
    assert model.read_bytes() == without
    run(*fit, "--data", plain, "--header")
    assert len(json.loads(run("info", model))["features"]) == 4
    run(*fit, "--data", csv("words.csv", "a,b\n1,2\n"), "--no-header", code=1, message='line 1: column 0 (from 0) is "a"')
    named = csv("named.csv", '"a, 1",b,"c ""q""",d,label\n'
                + "".join(",".join(f'"{v:.6f}"' for v in r) + f",{i % 2}\n" for i, r in enumerate(rows)))
    run(*fit, "--data", named, "--label-column", "label")
    assert json.loads(run("info", model))["features"] == ["a, 1", "b", 'c "q"', "d"]
    run("score", "--model", model, "--data", named, "--label-column", 4, "--out", scores)
    assert len(read_npy(scores)) == 120
    run("eval", "--scores", scores, "--labels", named, "--label-column", "label")
    run("score", "--model", model, "--data", named, code=1, message="5 columns, the scorer was fitted on 4")
    renamed = csv("renamed.csv", named.read_text().replace(",b,", ",bee,", 1))
    run("score", "--model", model, "--data", renamed, "--label-column", "label", code=1, message='named "bee"')
    run(*fit, "--data", named, "--label-column", "none", code=1, message='no column "none"')
    run(*fit, "--data", x, "--label-column", "a", code=1, message="is for CSV")
    run(*fit, "--data", named, "--label-column", "label")
    numbers = model.read_bytes()
    words = re.sub(r",([01])\n", lambda label: f",{['benign', 'malignant'][int(label[1])]}\n", named.read_text())
    bare = csv("bare.csv", words.split("\n", 1)[1])
    run(*fit, "--data", csv("text.csv", words), "--label-column", "label")
    assert model.read_bytes() == numbers, "what is in a label column does not matter"
    run(*fit, "--data", bare, "--label-column", 4, "--no-header")
    run("score", "--model", model, "--data", bare, "--label-column", 4, "--no-header", "--out", scores)
    assert len(read_npy(scores)) == 120
    run(*fit, "--data", bare, "--label-column", 4, code=1, message="line 1: a label, or the label's name?")
    run(*fit, "--data", csv("numbers.csv", "0,1,2,label\n1,2,3,0\n2,3,4,1\n3,4,6,0\n"), "--label-column", 3)
    assert json.loads(run("info", model))["features"] == ["0", "1", "2"]

    # data at fault: which row, column, file
    run(*fit, "--data", csv("ragged.csv", "a,b\n1,2\n3\n"), code=1, message="ragged.csv, line 3: 1 cell, the first row has 2")
    run(*fit, "--data", csv("long.csv", "1,2\n3,4,5\n"), code=1, message="long.csv, line 2: more cells")
    run(*fit, "--data", csv("word.csv", "a,b\n1,2\n3,four\n"), code=1, message='line 3: column 1 (from 0, "b") is "four"')
    run(*fit, "--data", csv("hex.csv", "1,2\n3,0x10\n"), code=1, message='column 1 (from 0) is "0x10"')
    # Lines are the file's, from 1, whatever they hold: blank ones, a cell of two lines, any kind of end.
    for end in ("\n", "\r\n", "\r"):
        odd = end.join(["\ufeff", "  ", "", 'a,"b ""c"""', "1,2", "", '3,"4"', "5,six", ""])
        run(*fit, "--data", csv("odd.csv", odd), code=1, message='odd.csv, line 8: column 1 (from 0, "b "c"") is "six"')
        run(*fit, "--data", csv("odd.csv", odd.replace("six", "6")), "--set", "steps=2")
    run(*fit, "--data", csv("two.csv", 'a,"of two\nlines"\n1,2\n3,four\n'), code=1, message="two.csv, line 4: column 1")
    run(*fit, "--data", csv("open.csv", 'a,b\n1,2\n3,"4\n5,6\n'), code=1, message="line 3: a quoted cell does not end")
    run(*fit, "--data", csv("comma.csv", "a,b\n1,2\n3,4,\n"), code=1, message="line 3: more cells than the 2 of the first row: a delimiter")
    run(*fit, "--data", csv("comma.csv", "a,b,\n1,2,\n"), code=1, message="line 1: the last column has no name")
    (scratch / "wide.csv").write_bytes("a,b\n1,2\n".encode("utf-16"))
    run(*fit, "--data", scratch / "wide.csv", code=1, message="wide.csv, line 1: the file is UTF-16")
    run(*fit, "--data", csv("blank.csv", "\n \n\n"), code=1, message="blank.csv, line 1: the file is empty")
    run(*fit, "--data", csv("empty.csv", ""), code=1, message="empty.csv, line 1: the file is empty")
    run(*fit, "--data", csv("head.csv", "a,b\n"), code=1, message="no rows of data")
    run(*fit, "--data", csv("quote.csv", '1,"2\n'), code=1, message="does not end")
    run(*fit, "--data", csv("nan.csv", "a,b\n1,2\n3,NA\n5,6\n"), code=1,
        message="row 1, column 1 (from 0) is nan")
    run(*fit, "--data", csv("nan.csv", "a,b\n1,2\n3,\n5,6\n"), "--set", "nonfinite=impute")
    run(*fit, "--data", csv("one.csv", "a,b\n1,2\n"), code=1, message="the data have 1 rows")
    run(*fit, "--data", scratch / "none.csv", code=1, message="No such file")
    run(*fit, "--data", scratch / "none.npy", code=1, message="No such file")
    run(*fit, "--data", scratch, code=1, message="cannot read")
    run(*fit, "--data", write(scratch / "fake.npy", "not npy at all"), code=1, message="not a .npy file")
    run("score", "--model", x, "--data", x, code=1, message="x.npy")
    run("info", scratch / "none", code=1, message="No such file")
    run("eval", "--scores", scores, "--labels", y, code=1, message="130 labels")
    run("eval", "--scores", write_npy(scratch / "t.npy", [1.0, 2.0], "<f8"),
        "--labels", write_npy(scratch / "l.npy", [1, 2], "<i8"), code=1, message="label of row 1 (from 0) is 2")
    run("eval", "--scores", scratch / "t.npy", "--labels", write_npy(scratch / "l.npy", [1, 1], "<i8"), code=1,
        message="needs a negative row")
    run("score", "--model", model, "--data", csv("ok.csv", "1,2\n"), "--pvalue", code=1,
        message="not calibrated")

    # nothing is left behind where it cannot be written
    before = sorted(os.listdir(scratch))
    run("score", "--model", model, "--data", csv("ok.csv", "1,2\n"), "--out", scratch / "no" / "s.npy", code=1,
        message="cannot write")
    run("fit", "--quiet", "--set", "steps=2", "--data", x, "--model", scratch / "no" / "m", code=1,
        message="cannot write")
    run("fit", "--quiet", "--set", "steps=2", "--data", x, "--model", "", code=1, message="the model is empty")
    run("fit", "--quiet", "--set", "steps=2", "--data", x, "--model", scratch, code=1,
        message="not a regular file")
    run("score", "--model", model, "--data", scratch / "ok.csv", "--out", scratch, code=1,
        message="cannot write")
    assert sorted(os.listdir(scratch)) == before
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            done = subprocess.run([DUM, "scorers"], stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 1 and b"standard output" in done.stderr

    # stopped by the clock: the model is there
    run("fit", "--quiet", "--data", x, "--model", scratch / "c.dum", "--max-seconds", 0.05,
        "--set", "steps=1000000")
    run("score", "--model", scratch / "c.dum", "--data", x, "--out", scores)
    run(*fit, "--data", WDBC, "--label-column", "malignant")
    run(*fit, "--data", x, "--pairs", write_npy(scratch / "p.npy", outliers + rows))
    run(*fit, "--data", x, "--pairs", b, code=1, message="pairs is 10 x 4")
    run(*fit, "--data", WDBC, "--label-column", "malignant", "--pairs",
        write_npy(scratch / "q.npy", wdbc_rows()))


def wdbc_rows():
    lines = pathlib.Path(WDBC).read_text().splitlines()[1:]
    return [[float(v) for v in line.split(",")[:-1]] for line in lines]


def test_vectors(scratch):
    """Scores and labels in every form that eval takes."""
    def judge(scores, labels, *more):
        return json.loads(run("eval", "--scores", scores, "--labels", labels, *more))

    labels = write_npy(scratch / "l.npy", [0, 1, 0, 1], "|u1")
    # as float32 these would tie
    exact = [1 + i * 1e-12 for i in (0, 1, 2, 3)]
    from_npy = judge(write_npy(scratch / "e.npy", exact, "<f8"), labels)
    from_csv = judge(write(scratch / "e.csv", "".join(f"{v:.17g}\n" for v in exact)), labels)
    assert from_npy == from_csv and from_npy["auroc"] == 0.75
    # trailing blank lines are no rows; a table has its column "score"
    assert judge(write(scratch / "b.csv", "score\n1\n2\n3\n4\n\n\n"), labels)["n"] == 4
    assert judge(write(scratch / "p.csv", "p,score\n9,1\n8,2\n7,3\n6,4\n"), labels)["auroc"] == 0.75
    assert judge(write_npy(scratch / "p.npy", [[v, -v] for v in exact], "<f8"), labels)["auroc"] == 0.75
    run("eval", "--scores", write(scratch / "n.csv", "a,b\n1,2\n"), "--labels", labels, code=1,
        message='no column "score"')
    run("eval", "--scores", scratch / "e.npy", "--labels", scratch / "p.npy", code=1,
        message="expected a vector")
    run("eval", "--scores", write(scratch / "m.csv", "1\nNA\n2\n3\n"), "--labels", labels, code=1)
    # the sign of integers
    assert judge(write_npy(scratch / "u.npy", [1, 40000, 2, 50000], "<u2"), labels)["auroc"] == 1
    assert judge(write_npy(scratch / "i.npy", [-2, 5, -1, 7], "|i1"), labels)["auroc"] == 1
    assert judge(write_npy(scratch / "d.npy", [2.0, 1.0, 4.0, 3.0], "<f8"), labels)["folded"] == 0.75


def test_writing(scratch):
    """Pipes and devices are written to, not replaced; a reader that goes away is an error."""
    model, data = scratch / "w.dum", write(scratch / "w.csv", "1,2\n3,5\n5,6\n7,9\n")
    run("fit", "--quiet", "--set", "steps=3", "--set", "neighbours=2", "--data", data, "--model", model)
    pipe, got = scratch / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()
    run("score", "--model", model, "--data", data, "--out", pipe, timeout=60)
    reader.join(60)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and len(got[0].split()) == 4
    run("fit", "--quiet", "--data", data, "--model", pipe, code=1, message="not a regular file", timeout=60)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    ends = os.pipe()
    os.close(ends[0])
    for arguments in (["scorers"], ["--help"], ["info", model], ["score", "--model", model, "--data", data]):
        done = subprocess.run([DUM, *map(str, arguments)], stdout=ends[1], stderr=subprocess.PIPE)
        assert done.returncode == 1 and b"standard output" in done.stderr, (arguments, done)
        done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", DUM, *map(str, arguments)], stderr=subprocess.PIPE)
        assert done.returncode == 1 and b"standard output" in done.stderr, (arguments, done)
    os.close(ends[1])
    assert not [name for name in os.listdir(scratch) if name.endswith(".tmp")]
    many = write(scratch / "many.csv", "1,2\n" * 4000)
    before = sorted(os.listdir(scratch))
    for name in ("full.npy", "full.csv"):  # the limit on the size of files stands for a full disk
        done = subprocess.run([DUM, "score", "--model", model, "--data", many, "--out", scratch / name],
                              stderr=subprocess.PIPE, restore_signals=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)))
        assert done.returncode == 1 and b"cannot write" in done.stderr, done
    assert sorted(os.listdir(scratch)) == before
    told = json.loads(run("compare", "--reference", data, "--sample", data, "--model", model, "--bootstrap", 50,
                          "--quiet"))
    assert told["auroc"] == 0.5 and told["auroc_low"] <= 0.5 <= told["auroc_high"]


def test_links(scratch):
    """What a link leads to is written, and the link stays; what was left by one who was killed is taken over."""
    data = write(scratch / "l.csv", "1,2\n3,5\n5,6\n7,9\n")
    inner = scratch / "inner"
    inner.mkdir()
    for name in ("m.dum", "s.npy"):
        (scratch / name).symlink_to(pathlib.Path("inner") / name)
    (inner / "s.npy.0.tmp").write_text("half of what one wrote who was killed")
    (inner / "s.npy.1.tmp").symlink_to(data)
    for turn in range(2):  # no file yet, and a file
        run("fit", "--quiet", "--scorer", "knn", "--data", data, "--model", scratch / "m.dum")
        run("score", "--model", scratch / "m.dum", "--data", data, "--out", scratch / "s.npy")
        for name in ("m.dum", "s.npy"):
            assert (scratch / name).is_symlink() and (inner / name).is_file() and not (inner / name).is_symlink()
        assert sorted(os.listdir(inner)) == ["m.dum", "s.npy", "s.npy.1.tmp"]
        assert len(read_npy(scratch / "s.npy")) == 4 and data.read_text().startswith("1,2")
    (scratch / "loop").symlink_to("loop")
    (scratch / "nowhere").symlink_to("none/s.npy")
    for name, message in (("loop", "Too many levels"), ("nowhere", "No such file")):
        run("score", "--model", scratch / "m.dum", "--data", data, "--out", scratch / name, code=1, message=message)
        run("fit", "--quiet", "--scorer", "knn", "--data", data, "--model", scratch / name, code=1, message=message)
    assert not [name for name in os.listdir(scratch) if name.endswith(".tmp")]


def test_stopping(scratch):
    """Control-C saves the model as far as it got; the bar shows on a terminal alone."""
    model = scratch / "stop.dum"
    command = [DUM, "fit", "--data", WDBC, "--label-column", "malignant", "--model", str(model), "--set",
               "steps=1000000000"]
    main_end, tool_end = pty.openpty()
    child = subprocess.Popen(command, stderr=tool_end)
    os.close(tool_end)
    shown = b""
    until = time.monotonic() + 60
    while b" left" not in shown and time.monotonic() < until:
        shown += os.read(main_end, 4096)
    child.send_signal(signal.SIGINT)
    try:
        while True:
            piece = os.read(main_end, 4096)
            if not piece:
                break
            shown += piece
    except OSError:  # the other end of a terminal is closed
        pass
    os.close(main_end)
    assert child.wait(60) == 1, shown
    assert b" left" in shown and b"interrupted: " in shown and b"as far as it got" in shown
    assert json.loads(run("info", model))["columns"] == 30
    done = subprocess.run(command + ["--max-seconds", "0.2"], capture_output=True, text=True)
    assert done.returncode == 0 and "stopped by --max-seconds" in done.stderr and " left" not in done.stderr
    long = write_npy(scratch / "long.npy", [[random.gauss(0, 1), random.gauss(0, 1)] for _ in range(6000)])
    done = subprocess.run([DUM, "fit", "--scorer", "lof", "--data", long, "--model", model, "--set", "neighbours=500",
                           "--threads", "1"], capture_output=True, text=True)
    assert done.returncode == 0 and float(re.search(r"([\d.]+) s$", done.stderr)[1]) > 0, "no time is told: " + done.stderr
    run("fit", "--scorer", "lof", "--data", WDBC, "--model", scratch / "none.dum", "--max-seconds", "1e-9", code=1,
        message="before there was anything to save")


def test_checkpoints(scratch):
    """A fit killed outright goes on from its checkpoint to the model that it would have been."""
    whole, model, checkpoint = scratch / "whole.dum", scratch / "resumed.dum", scratch / "c.dum"
    settings = ["--quiet", "--data", WDBC, "--label-column", "malignant", "--set", "steps=1500", "--set", "width=32"]
    run("fit", *settings, "--model", whole)
    resumable = [*settings, "--model", model, "--checkpoint", checkpoint, "--checkpoint-epochs", 20, "--resume"]
    child = subprocess.Popen([DUM, "fit", *map(str, resumable)])
    until = time.monotonic() + 60
    while not checkpoint.exists() and child.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    child.kill()
    assert child.wait() != 0 and checkpoint.exists() and not model.exists()
    run("fit", *resumable)
    assert model.read_bytes() == whole.read_bytes()
    assert json.loads(run("info", checkpoint))["kind"] == "checkpoint"
    run("fit", "--data", WDBC, "--model", model, "--resume", code=2, message="--checkpoint")
    # The fit goes on without its checkpoints, but not in silence.
    run("fit", *settings, "--set", "steps=3", "--model", model, "--checkpoint", scratch / "no" / "c.dum", message="no checkpoint")
    run("fit", *settings[:5], "--scorer", "knn", "--model", model, "--checkpoint", checkpoint, code=1,
        message="options.checkpoint_path")
    run("fit", *settings, "--model", model, "--checkpoint", model, "--resume", code=1, message=f"dum: {model}: ")


def test_threads(scratch):
    """Wide enough that the second thread has work."""
    models = []
    for threads in (1, 2):
        models.append(scratch / f"t{threads}.dum")
        run("fit", "--quiet", "--data", WDBC, "--label-column", "malignant", "--set", "width=512", "--set",
            "steps=60", "--seed", 3, "--threads", threads, "--model", models[-1])
    assert models[0].read_bytes() == models[1].read_bytes()


def test_examples(scratch):
    """The programs beside the tool."""
    folder = pathlib.Path(DUM).parent
    model = scratch / "e.dum"
    run("fit", "--quiet", "--data", WDBC, "--label-column", "malignant", "--set", "steps=20", "--model", model)
    run("score", "--data", WDBC, "--label-column", "malignant", "--model", model, "--out", scratch / "e.npy")
    lines = [line.rsplit(",", 1)[0] for line in pathlib.Path(WDBC).read_text().splitlines()]

    def stream(text):
        return subprocess.run([folder / "score_stream", model], input=text, capture_output=True, text=True)
    done = stream("\n".join(lines))
    assert done.returncode == 0 and [float(v) for v in done.stdout.split()] == read_npy(scratch / "e.npy"), done
    for text, message in ((lines[1] + "\n1,2\n", "line 2"), (lines[1] + "\n1,x\n", "line 2")):
        done = stream(text)
        assert done.returncode == 1 and message in done.stderr and len(done.stdout.split()) == 1, done
    picture = scratch / "scores.svg"
    done = subprocess.run([folder / "quickstart", WDBC, picture], capture_output=True, text=True)
    assert done.returncode == 0, done
    assert done.stdout.count("AUROC") == 2 and done.stdout.count("row ") == 20, done.stdout
    assert picture.read_text().rstrip().endswith("</svg>")
    done = subprocess.run([folder / "quickstart", scratch / "none.csv", picture], capture_output=True,
                          text=True)
    assert done.returncode == 1 and "No such file" in done.stderr


def fit_small(data, model, kind, *more):
    """A fit that takes no time."""
    small = ("--set", "steps=60", "--set", "width=16") if kind == "dum" else ()
    run("fit", "--quiet", "--data", data, "--model", model, "--scorer", kind, *small, *more)


def planted(scratch, name):
    """300 rows of five columns; in row 7 the one with a hostile name is far out."""
    random.seed(2)
    rows = [[random.uniform(-1, 1) for _ in range(5)] for _ in range(300)]
    rows[7][3] = 40.0
    lines = ['a,b,c,"<b>""x",e'] + [",".join(f"{v:.6f}" for v in row) for row in rows]
    return write(scratch / name, "\n".join(lines) + "\n"), rows


def test_explain(scratch):
    """The planted cell is named, by name or number; kinds that have no features to name say so."""
    data, rows = planted(scratch, "e.csv")
    model = scratch / "e.dum"
    explain = ("explain", "--model", model, "--data", data)
    for kind in ("dum", "copod", "ecod", "hbos"):
        fit_small(data, model, kind, "--holdout", 0.2)
        table = list(csv.DictReader(run(*explain, "--top", 1000).splitlines()))
        scores = [float(v) for v in run("score", "--model", model, "--data", data).split()]
        order = sorted(range(300), key=lambda i: (-scores[i], i))
        assert list(dict.fromkeys(int(line["row"]) for line in table)) == order, kind
        assert all(scores[int(line["row"])] == float(line["score"]) for line in table)
        assert all(0 < float(line["p"]) <= 1 and float(line["share"]) > 0 for line in table)
        assert ("deviation" in table[0]) == (kind == "dum")
        mine = [line for line in table if line["row"] == "7"]
        assert mine[0]["feature"] == '<b>"x' and float(mine[0]["value"]) == 40, (kind, mine)
        shares = [float(line["share"]) for line in mine]
        assert shares == sorted(shares, reverse=True) and len(shares) <= 5
        assert len({line.split(",")[0] for line in run(*explain).splitlines()[1:]}) == 10
    fit_small(write_npy(scratch / "e.npy", rows), model, "hbos")
    few = ("explain", "--model", model, "--data", scratch / "e.npy", "--top", 1, "--out")
    told = run(*few, "-").splitlines()
    assert told[0] == "row,score,feature,value,share" and told[1].split(",")[2] == "3", told
    run(*few, scratch / "t.csv")
    assert (scratch / "t.csv").read_text().splitlines() == told
    before = sorted(os.listdir(scratch))
    out = scratch / "n.csv"
    run(*explain, "--out", scratch / "n.npy", code=2, message="n.npy, expected a name for CSV")
    run(*explain, "--top", 0, code=2, message='--top: bad value "0", expected a whole number from 1 to 10000')
    run(*explain, "--top", "some", code=2, message='bad value "some"')
    run("explain", "--data", data, code=2, message="--model is needed")
    run("explain", "--model", model, code=2, message="--data is needed")
    run("explain", "--model", model, "--data", WDBC, "--out", out, code=1, message="31 columns")
    fit_small(data, model, "iforest")
    run(*explain, "--out", out, code=1, message="scorer iforest does not explain")
    fit_small(data, model, "dum", "--set", "anchor=off")
    run(*explain, "--out", out, code=1, message="cannot say which features")
    assert sorted(os.listdir(scratch)) == before


class Page(html.parser.HTMLParser):
    """What a report holds. Fails where an element is not closed, something from elsewhere is asked for, or a shape
    lies outside its plot."""
    def __init__(self, path):
        super().__init__()
        self.text, self.open, self.rows, self.points, self.table = "", [], [], [], None
        self.raw = path.read_text()
        self.feed(self.raw)
        self.close()
        assert not self.open and self.raw.endswith("</html>\n"), self.open
        self.top = [point for point in self.points if point[2] != "2"]

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        assert tag not in ("b", "script", "img", "link", "iframe", "object"), tag
        assert not any(name.startswith("on") or name in ("src", "href") for name in attrs), attrs
        if tag == "table":
            self.table = attrs.get("id")
        if tag == "tr" and self.table == "top" and "tbody" in self.open:
            self.rows.append([])
        if tag == "td" and self.table == "top":
            self.rows[-1].append("")
        if tag == "circle":
            self.points.append((float(attrs["cx"]), float(attrs["cy"]), attrs["r"]))
            assert 84 <= self.points[-1][0] <= 708 and 24 <= self.points[-1][1] <= 292, attrs
        if tag == "rect":
            x, y, width, height = (float(attrs[name]) for name in ("x", "y", "width", "height"))
            assert x >= 84 and x + width <= 708.1 and y >= 24 and y + height <= 292.1, attrs
        if tag != "meta" and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data
        if "td" in self.open and self.table == "top":
            self.rows[-1][-1] += data


def test_report(scratch):
    """One page that needs nothing else: histogram, table, points; a name is text, whatever it holds."""
    data, _ = planted(scratch, "r.csv")
    model, page = scratch / "r.dum", scratch / "r.html"
    bare = ("report", "--model", model, "--data", data)
    report = (*bare, "--out", page)
    for kind, top in (("dum", 12), ("hbos", 300), ("iforest", 300)):
        fit_small(data, model, kind, "--holdout", 0.4)
        run(*report, "--top", top)
        seen = Page(page)
        assert not re.search(r"https?://|src=|href|url\(|@import|<script|<link", seen.raw)
        assert len(seen.rows) == len(seen.top) == top and len(seen.points) == 300 + top
        mine = next(row for row in seen.rows if row[0] == "7")
        assert len(mine) == (3 if kind == "iforest" else 4), mine
        assert kind == "iforest" or mine[3].startswith('<b>"x = 40'), mine
        assert "<b>" not in seen.raw and '<b>"x' in seen.text
        assert f"scored by a model of kind {kind}" in seen.text and "on 120 rows that were held out" in seen.text
        assert ("does not explain" in seen.text) == (kind == "iforest")
        assert "Threshold at a false-alarm rate of 0.01" in seen.text and 'class="limit"' in seen.raw
        assert seen.raw.count('class="bar"') > 5
        # the planted column is an axis: row 7 is the point furthest right, or highest
        right, high = max(seen.points), min(seen.points, key=lambda point: point[1])
        assert (right in seen.top and right[0] > 650) or (high in seen.top and high[1] < 50), (right, high)
    run(*report)
    assert len(Page(page).rows) == 10
    run(*report, "--false-alarm-rate", 0.1)
    assert "false-alarm rate of 0.1:" in Page(page).text
    assert run(*bare, "--false-alarm-rate", 0.1, "--out", "-") == page.read_text()

    # too few held-out rows for the rate: said in the page, an error where the rate was asked for
    fit_small(data, model, "hbos", "--holdout", 0.1)
    run(*report)
    seen = Page(page)
    assert "No threshold at a false-alarm rate of 0.01: " in seen.text and 'class="limit"' not in seen.raw
    page.unlink()
    before = sorted(os.listdir(scratch))
    run(*report, "--false-alarm-rate", 0.001, code=1, message="--false-alarm-rate: ")
    run(*report, "--false-alarm-rate", 2, code=2, message='bad value "2", expected a number between 0 and 1')
    run(*report, "--top", 10001, code=2, message='bad value "10001"')
    run(*report, "--pvalue", code=2, message="no option --pvalue")
    run(*bare, code=2, message="--out is needed")
    run("report", "--model", model, "--data", WDBC, "--out", page, code=1, message="31 columns")
    run("report", "--model", data, "--data", data, "--out", page, code=1, message="r.csv")
    run(*bare, "--out", scratch / "no" / "r.html", code=1, message="cannot write")
    run(*bare, "--out", scratch, code=1, message="cannot write")
    done = subprocess.run([DUM, *map(str, report)], stderr=subprocess.PIPE, restore_signals=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)))
    assert done.returncode == 1 and b"cannot write" in done.stderr, done
    assert sorted(os.listdir(scratch)) == before


def test_report_of_odd_data(scratch):
    """One column, one value, missing cells, more rows than are drawn, hostile names."""
    model, page = scratch / "o.dum", scratch / "o.html"

    def report(data, *more, scorer="hbos"):
        fit_small(data, model, scorer, *more)
        run("report", "--model", model, "--data", data, "--out", page)
        return Page(page)

    random.seed(3)
    many = write_npy(scratch / "many.npy", [[random.gauss(0, 1), i] for i in range(20000)])
    seen = report(many, scorer="iforest")
    assert 2000 <= len(seen.points) - len(seen.top) <= 2010 and len(seen.raw) < 200000
    assert "column 1" in seen.text and "evenly chosen" in seen.text
    seen = report(write_npy(scratch / "one.npy", [[float(i)] for i in range(50)]))
    assert len(seen.top) == 10 and "There is one feature" in seen.text
    assert len(report(write(scratch / "same.csv", "5,5\n" * 4), scorer="iforest").rows) == 4
    wide = "".join(f"{'-' * (i % 2)}3e38,{i}\n" for i in range(20))
    assert len(report(write(scratch / "wide.csv", wide), scorer="ecod").top) == 10
    cells = "".join(f"{500 if i == 1 else i},{'' if i % 3 else i * i % 5}\n" for i in range(60))
    seen = report(write(scratch / "gaps.csv", "a,b\n" + cells), "--set", "nonfinite=impute", "--set",
                  "scaling=zscore", "--set", "anchor=on", scorer="dum")
    assert "40 rows lack a value" in seen.text and "b = missing" in seen.text and "nan" not in seen.raw
    names = ["</title></svg></style><script>alert(1)</script>", "&lt;\x1b[31m'\x7f", "\u202e" + "\u00e4" * 300]
    lines = [",".join(f'"{name}"' for name in names)] + [f"{i},{i * i % 11},{i * 5 % 7}" for i in range(40)]
    named = write(scratch / "names.csv", "\n".join(lines))
    seen = report(named, scorer="ecod")
    assert names[0] in seen.text and "&lt;" in seen.text and "\x1b" not in seen.raw
    assert "\u00e4" * 98 in seen.raw and "\u00e4" * 101 not in seen.raw
    assert "\x1b" not in run("explain", "--model", model, "--data", named)


def test_monitor(scratch):
    random.seed(6)
    rows = [[random.gauss(0, 1) for _ in range(3)] for _ in range(3000)]
    late = [[random.gauss(0, 3) for _ in range(3)] for _ in range(400)]
    late[7][1] = float("nan")
    model, state = scratch / "monitored.dum", scratch / "monitor.dum"
    train, held = write_npy(scratch / "train.npy", rows[:1000]), write_npy(scratch / "held.npy", rows[1000:2400])
    first, second = write_npy(scratch / "first.npy", rows[2400:]), write_npy(scratch / "second.npy", late)
    run("fit", "--scorer", "mahalanobis", "--data", train, "--model", model, "--quiet")
    replay = ["monitor", "--model", model, "--set", "test=cusum", "--set", "window=100", "--reference"]
    quiet = run(*replay, held, "--data", first, "--state", state).splitlines()
    assert len(quiet) == 1 and json.loads(quiet[0])["event"] == "end" and json.loads(quiet[0])["alarms"] == 0
    told = json.loads(run("info", state))
    assert told["kind"] == "monitor" and told["rows"] == 600 and told["options"]["test"] == "cusum"
    loud = [json.loads(line) for line in run("monitor", "--model", model, "--data", second, "--state", state).splitlines()]
    assert loud[0]["event"] == "alarm" and 600 < loud[0]["alarm_row"] <= 700 and loud[0]["cohens_d"] > 0.2
    assert loud[-1]["event"] == "end" and loud[-1]["rows"] == 1000 and loud[-1]["bad_rows"] == 1
    assert loud[-1]["alarms"] == len(loud) - 1
    run("monitor", "--model", model, "--data", second, code=2, message="--reference is needed")
    run(*replay, held, "--data", first, "--state", state, code=1, message="exists")
    run(*replay, second, "--data", first, code=1, message="the reference has 400 rows")
    named = [write(scratch / f"{names}.csv", f"{','.join(names)}\n"
                   + "".join(f"{a},{b},{c}\n" for a, b, c in rows)) for names in ("abc", "cba")]
    run("fit", "--scorer", "mahalanobis", "--data", named[0], "--model", scratch / "named.dum", "--quiet")
    run("monitor", "--model", scratch / "named.dum", "--reference", named[0], "--data", named[1], code=1,
        message='cba.csv: column 0 is named "c"')
    run(*replay, held, "--data", first, "--set", "windows=1", code=2, message="false_alarms")

    # the picture
    svg, lasting = scratch / "t.svg", write_npy(scratch / "lasting.npy", rows[2400:] + late)
    told = [json.loads(line) for line in run(*replay, held, "--data", lasting, "--svg", svg).splitlines()]
    assert told[-1]["alarms"] == len(told) - 1 > 2
    marks = re.findall(r"<title>(\d+) alarm", svg.read_text())
    assert sum(map(int, marks)) == 2 * (len(told) - 1), "each alarm is in both parts"
    drawn = xml.etree.ElementTree.parse(svg).getroot()
    lines = [path.get("d") for path in drawn.iter("{http://www.w3.org/2000/svg}path") if path.get("class") == "line"]
    assert len(lines) == 2 and all(600 < line.count("L") < 624 for line in lines)
    assert "nan" not in svg.read_text() and "inf" not in svg.read_text()
    one = write_npy(scratch / "one.npy", [[float("nan")] * 3])
    run(*replay, held, "--data", one, "--svg", svg)
    assert xml.etree.ElementTree.parse(svg).getroot().get("viewBox") and "nan" not in svg.read_text()
    run(*replay, held, "--data", one, "--svg", scratch / "no" / "t.svg", code=1, message="cannot write")

    # docs/monitor.md has the options and defaults that there are
    run("monitor", "--model", model, "--reference", held, "--data", first, "--state", scratch / "defaults.dum")
    listed = json.loads(run("info", scratch / "defaults.dum"))["options"]
    written = re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \| ", (OPTIONS.parent / "monitor.md").read_text().split("## ")[0], re.M)
    assert [name for name, _ in written] == list(listed), (written, listed)
    for name, value in written:
        assert value == listed[name] or float(value.replace(",", "")) == listed[name], name


def test_images(scratch):
    random.seed(8)
    pixels = [random.randrange(40, 200) for _ in range(5 * 32 * 32 * 3)]
    images, out = write_images(scratch / "i.npy", (5, 32, 32, 3), pixels), scratch / "o.npy"
    start = len(images.read_bytes()) - len(pixels)
    severe = ("--severity", 3, "--corruption")

    # corrupt: the same header, other pixels, the same bits for any number of threads
    names = re.findall(r"^\| `(\w+)` \|", (OPTIONS.parent / "images.md").read_text(), re.M)
    assert len(names) == 15
    for name in names:
        run("corrupt", images, "--out", out, *severe, name, "--seed", 4, "--threads", 2)
        first = out.read_bytes()
        run("corrupt", images, "--out", out, *severe, name, "--seed", 4, "--threads", 1)
        assert out.read_bytes() == first and first[:start] == images.read_bytes()[:start]
        assert first[start:] != bytes(pixels) and len(first) == start + len(pixels), name
    contrast = write_images(scratch / "c.npy", (1, 1, 2), [10, 31])
    run("corrupt", contrast, "--out", out, "--severity", 2, "--corruption", "contrast")
    assert out.read_bytes()[-2:] == bytes([15, 26])  # 15.25, 25.75
    run("corrupt", contrast, "--out", contrast, "--severity", 2, "--corruption", "contrast")
    assert contrast.read_bytes() == out.read_bytes()

    before = sorted(os.listdir(scratch))
    fresh = ("--out", scratch / "none.npy")
    run("corrupt", code=2, message="IN.npy is needed")
    run("corrupt", images, code=2, message="--out is needed")
    run("corrupt", images, *fresh, code=2, message="--corruption is needed")
    run("corrupt", images, *fresh, "--corruption", "fog", code=2, message="--severity is needed")
    run("corrupt", images, *fresh, "--corruption", "fog", "--severity", 6, code=2, message="a whole number from 1 to 5")
    run("corrupt", images, *fresh, *severe, "rain", code=2, message='--corruption: bad value "rain"')
    run("corrupt", images, *fresh, *severe, "fog", "--seed", "-1", code=2, message="--seed: bad value")
    run("corrupt", scratch / "no.npy", *fresh, *severe, "fog", code=1, message="No such file")
    for shape, size, kind, message in (((5, 12), 60, "|u1", "is not N x H x W"), ((1, 2, 2, 2), 8, "|u1", "is not N x H"),
                                       ((1, 2, 2, 3, 1), 12, "|u1", "is not N x H"), ((1, 2, 2), 5, "|u1", "holds 5 bytes"),
                                       ((0, 2, 2), 0, "|u1", "0 images"), ((1, 0, 2), 0, "|u1", "1 images of 0 x 2"),
                                       ((1, 2, 2), 4, "|i1", "expected uint8"), ((1, 99999, 1), 99999, "|u1", "65535")):
        run("corrupt", write_images(scratch / "c.npy", shape, bytes(size), kind), *fresh, *severe, "fog", code=1,
            message=message)
    run("corrupt", write(scratch / "c.npy", "not npy at all"), *fresh, *severe, "fog", code=1, message="not a .npy file")
    run("corrupt", images, "--out", scratch / "no" / "o.npy", *severe, "fog", code=1, message="cannot write")
    assert sorted(os.listdir(scratch)) == before

    # sheet: each pixel where it belongs, white between the images
    write_images(images, (5, 12, 10, 3), pixels[:5 * 12 * 10 * 3])
    sheet = scratch / "s.png"
    run("sheet", images, "--rows", "4,0,2", "--columns", 2, "--scale", 3, "--out", sheet)
    drawn = read_png(sheet)
    assert (len(drawn), len(drawn[0])) == (2 * (12 * 3 + 2) + 2, 2 * (10 * 3 + 2) + 2)
    white = (255, 255, 255)
    for y, line in enumerate(drawn):
        for x, found in enumerate(line):
            (down, in_y), (right, in_x) = divmod(y - 2, 38), divmod(x - 2, 32)
            place = 2 * down + right
            wanted = white
            if down >= 0 and right >= 0 and in_y < 36 and in_x < 30 and place < 3:
                at = (([4, 0, 2][place] * 12 + in_y // 3) * 10 + in_x // 3) * 3
                wanted = tuple(pixels[at:at + 3])
            assert found == wanted, (y, x)
    grey = write_images(scratch / "g.npy", (2, 300, 280), [i % 251 for i in range(2 * 300 * 280)])
    run("sheet", grey, "--rows", "1", "--out", sheet)  # several stored blocks
    drawn = read_png(sheet)
    assert (len(drawn), len(drawn[0])) == (304, 284) and drawn[2][2] == (300 * 280 % 251,) * 3 and drawn[0][0] == white
    run("sheet", images, "--rows", "5", "--out", sheet, code=1, message="there is no image 5, expected 0 to 4")
    for rows in ("", "1,", ",1", "1,,2", "1 2", "-1", "x", "99999999999999999999"):
        run("sheet", images, "--rows", rows, "--out", sheet, code=2, message="numbers from 0 on")
    run("sheet", images, "--out", sheet, code=2, message="--rows is needed")
    run("sheet", images, "--rows", "1", code=2, message="--out is needed")
    run("sheet", "--rows", "1", "--out", sheet, code=2, message="IMAGES.npy is needed")
    run("sheet", images, "--rows", "1", "--scale", 65, "--out", sheet, code=2, message="from 1 to 64")
    run("sheet", grey, "--rows", ",".join(["1"] * 400), "--columns", 1, "--scale", 64, "--out", sheet, code=1,
        message="the sheet would have")


SMALL = ("--quiet", "--set", "depth=8", "--set", "units=4", "--set", "projection=8", "--set", "batch=16")


def make_images(path, count, shape, seed=1, channels=3):
    """Images of class row % 2: dark on the left, or on the right; and their labels."""
    source, (height, width), pixels = random.Random(seed), shape, []
    for row in range(count):
        for _ in range(height):
            for x in range(width):
                dark = (x < width // 2) == (row % 2 == 0)
                pixels += [source.randrange(0, 90) if dark else source.randrange(150, 256) for _ in range(channels)]
    return write_images(path, (count, height, width, channels), pixels)


def read_floats(path):
    data = path.read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    return data[10:start].decode(), list(struct.unpack(f"<{(len(data) - start) // 4}f", data[start:]))


def test_encoder(scratch):
    """Encoders of images and tables: trained, saved, embedding, judged, below a scorer."""
    images, other = make_images(scratch / "i.npy", 48, (8, 12)), make_images(scratch / "j.npy", 32, (8, 12), 2)
    labels = write_npy(scratch / "l.npy", [i % 2 for i in range(48)], "|u1")
    labels_2 = write_npy(scratch / "m.npy", [i % 2 for i in range(32)], "<i8")
    encoder, out, model = scratch / "e.dum", scratch / "z.npy", scratch / "s.dum"
    train = ("encoder", images, "--out", encoder, *SMALL)
    run(*train, "--set", "steps=6", "--seed", 3, "--threads", 2)
    first = encoder.read_bytes()
    run(*train, "--set", "steps=6", "--seed", 3, "--threads", 1)
    assert encoder.read_bytes() == first
    told = json.loads(run("info", encoder))
    assert told["kind"] == "encoder" and told["encoder"] == "resnet" and told["columns"] == 8 * 12 * 3
    options = told["options"]
    assert (options["height"], options["width"], options["channels"]) == (8, 12, 3) and options["seed"] == 3

    run("embed", encoder, images, "--out", out)
    head, values = read_floats(out)
    cols = told["embedding_columns"]
    assert f"(48, {cols})" in head and "'<f4'" in head and len(values) == 48 * cols
    printed = run("embed", encoder, images, "--out", "-").splitlines()
    assert len(printed) == 48 and [struct.unpack("<f", struct.pack("<f", float(v)))[0]
                                   for v in printed[1].split(",")] == values[cols:2 * cols]
    run("embed", encoder, images, "--out", out, "--output", "projection")
    assert "(48, 8)" in read_floats(out)[0]
    run("embed", encoder, images, "--out", out, "--output", "map")
    assert len(read_floats(out)[1]) > 48 * cols

    # supervised on what is easily told apart
    run(*train, "--set", "steps=40", "--set", "objective=supervised", "--labels", labels, "--set", "jitter=0", "--set",
        "flip=0", "--set", "grey=0", "--set", "crop_min=1")
    judge = ("evaluate", encoder, "--train", images, "--train-labels", labels, "--test", other, "--test-labels")
    told = json.loads(run(*judge, labels_2, "--json", "--neighbours", 5))
    assert told["n_train"] == 48 and told["n_test"] == 32 and told["neighbours"] == 5
    assert told["knn_accuracy"] > 0.9 and told["linear_accuracy"] > 0.9, told
    text = run(*judge, labels_2)
    assert text.startswith("nearest neighbours (48): ") and "linear layer: " in text and "32 rows, learnt from 48" in text

    table = ("--train", WDBC, "--train-labels", WDBC, "--test", WDBC, "--test-labels", WDBC, "--label-column", "malignant")
    run("encoder", WDBC, "--label-column", "malignant", "--out", model, "--quiet", "--set", "steps=3")
    assert json.loads(run("evaluate", model, *table, "--json"))["linear_accuracy"] > 0.8

    # grey images; a table; a checkpoint
    grey = write_images(scratch / "g.npy", (20, 8, 8), [(i * 37) % 256 for i in range(20 * 64)])
    run("encoder", grey, "--out", encoder, *SMALL, "--set", "steps=2")
    assert json.loads(run("info", encoder))["options"]["channels"] == 1
    run("encoder", WDBC, "--label-column", "malignant", "--out", encoder, "--quiet", "--set", "steps=3", "--set",
        "embedding=5")
    told = json.loads(run("info", encoder))
    assert told["encoder"] == "mlp" and told["columns"] == 30 and told["embedding_columns"] == 5
    run("fit", "--quiet", "--data", WDBC, "--label-column", "malignant", "--model", model, "--encoder", encoder, "--set",
        "steps=5", "--holdout", 0.2)
    told = json.loads(run("info", model))
    assert told["kind"] == "scorer.dum" and told["below"]["encoder"] == "mlp" and told["columns"] == 30
    run("score", "--data", WDBC, "--label-column", "malignant", "--model", model, "--out", scratch / "s.npy")
    assert len(read_npy(scratch / "s.npy")) == 569
    checkpoint = scratch / "c.dum"
    run(*train, "--set", "epochs=4", "--checkpoint", checkpoint)
    whole = encoder.read_bytes()
    run(*train, "--set", "epochs=4", "--checkpoint", checkpoint, "--resume")
    assert encoder.read_bytes() == whole and json.loads(run("info", checkpoint))["kind"] == "checkpoint.encoder"
    run("fit", "--quiet", "--data", images, "--model", model, "--encoder", encoder, "--output", "projection", "--set",
        "steps=5")
    told = json.loads(run("info", model))["below"]
    assert told["embedding_columns"] == 8 and told["options"]["output"] == "projection"
    run("embed", model, images, "--out", out)
    assert "(48, 8)" in read_floats(out)[0]
    run("report", "--data", images, "--model", model, "--out", scratch / "r.html")
    assert "stands on an encoder" in Page(scratch / "r.html").text
    run("explain", "--data", images, "--model", model, code=1, message="stands on an encoder")
    classes = ("fit", "--quiet", "--data", images, "--model", model, "--encoder", encoder, "--scorer")
    run(*classes, "mds", "--labels", labels)
    run("score", "--data", other, "--model", model, "--out", scratch / "s.npy")
    run(*classes, "mds", code=1, message="scorer mds needs the class of each row")
    run(*classes, "knn", "--labels", labels, code=1, message="scorer knn takes none")
    run(*classes, "mds", "--labels", labels_2, code=1, message="has 32 labels")

    # at fault
    wrong = make_images(scratch / "w.npy", 20, (12, 8))
    bare = write_npy(scratch / "x.npy", [[float(i), float(i * i % 7)] for i in range(30)])
    two = write_images(scratch / "two.npy", (4, 8, 8, 2), bytes(512))
    before, fresh = sorted(os.listdir(scratch)), ("--out", scratch / "none.dum")
    run("encoder", code=2, message="DATA is needed")
    run("encoder", images, code=2, message="--out is needed")
    run("encoder", images, other, *fresh, code=2, message='unexpected argument')
    run("encoder", images, *fresh, "--kind", "magic", code=2, message="expected identity, mlp or resnet")
    run("encoder", images, *fresh, "--kind", "identity", code=2, message="expected resnet or mlp")
    run("encoder", images, *fresh, "--set", "colour=red", code=2, message='no option "colour"')
    run("encoder", images, *fresh, "--set", "depth=9", "--set", "steps=1", code=1, message="depth")
    run("encoder", images, *fresh, "--set", "units=many", code=2, message="expected a number")
    run("encoder", images, *fresh, "--labels", labels, code=2, message="--set objective=supervised")
    run("encoder", images, *fresh, "--set", "objective=supervised", code=2, message="--labels is needed")
    run("encoder", images, *fresh, "--set", "objective=supervised", "--labels", labels_2, code=1,
        message="has 32 labels")
    run("encoder", images, *fresh, "--set", "objective=supervised", "--labels",
        write_npy(scratch / "m.npy", [0.5] * 48, "<f8"), code=1, message="label of row 0 (from 0) is 0.5")
    run("encoder", images, *fresh, "--set", "height=9", *SMALL, code=1, message="columns")
    run("encoder", two, *fresh, code=1, message="2 channels, expected 1 or 3")
    run("encoder", bare, *fresh, "--kind", "resnet", code=1, message="--set height=")
    run("encoder", scratch / "no.npy", *fresh, code=1, message="No such file")
    run("encoder", images, "--out", scratch / "no" / "e.dum", *SMALL, code=1, message="cannot write")
    run("encoder", images, *fresh, "--resume", code=2, message="--checkpoint is needed")
    run("embed", encoder, code=2, message="DATA is needed")
    run("embed", encoder, images, code=2, message="--out is needed")
    run("embed", encoder, wrong, *fresh, code=1, message="has images of 12 x 8 x 3, the encoder takes 8 x 12 x 3")
    run("embed", encoder, bare, *fresh, code=1, message="2 columns")
    run("embed", encoder, images, *fresh, "--output", "magic", code=2, message="magic")
    run("embed", encoder, images, *fresh, "--output", "logits", code=1, message="logits")
    run("embed", images, images, *fresh, code=1, message="i.npy")
    run("evaluate", encoder, code=2, message="--train is needed")
    run(*judge, labels, code=1, message="has 48 labels")
    run(*judge, write_npy(scratch / "m.npy", [i % 2 for i in range(32)], "|u1"), "--neighbours", 49, code=1,
        message="neighbours is 49")
    run("fit", "--data", wrong, "--model", scratch / "none.dum", "--encoder", encoder, code=1,
        message="has images of 12 x 8 x 3")
    run("fit", "--data", images, "--model", scratch / "none.dum", "--output", "map", code=2, message="--encoder is needed")
    run("fit", "--data", bare, "--model", scratch / "none.dum", "--quiet", "--set", "steps=2", "--encoder", encoder, code=1,
        message="2 columns")
    run("fit", "--data", bare, "--model", scratch / "b.dum", "--quiet", "--scorer", "hbos")
    run("embed", scratch / "b.dum", bare, *fresh, code=1, message="no encoder below it")
    (scratch / "b.dum").unlink()
    assert sorted(os.listdir(scratch)) == before


class ImagePage(html.parser.HTMLParser):
    """Images of a page with the numbers below them, by heading; fails where anything comes from elsewhere."""
    def __init__(self, path):
        super().__init__()
        self.raw, self.open, self.images, self.heading, self.text = path.read_text(), [], {}, [], ""
        self.feed(self.raw)
        self.close()
        assert not self.open and self.raw.endswith("</html>\n")

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        assert tag not in ("b", "script", "link", "iframe", "object") and "href" not in attrs, tag
        if tag in ("h2", "h3"):
            self.heading = self.heading[:1] if tag == "h3" else []
            self.heading.append("")
        if tag == "img":
            kind, body = attrs["src"].split(",")
            assert kind == "data:image/png;base64"
            self.images.setdefault(tuple(self.heading), []).append([base64.b64decode(body, validate=True), ""])
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("h2", "h3"):
            self.heading[-1] += data
        if self.open and self.open[-1] == "figcaption":
            self.images[tuple(self.heading)][-1][1] += data + " "


def image_scorer(scratch):
    """Images, their labels, and a scorer of kind dum on an encoder that was trained on them."""
    images = make_images(scratch / "i.npy", 60, (8, 12))
    labels = write_npy(scratch / "l.npy", [3 * (i % 2) for i in range(60)], "|u1")
    run("encoder", images, "--out", scratch / "e.dum", *SMALL, "--set", "steps=4")
    run("fit", "--quiet", "--data", images, "--model", scratch / "m.dum", "--encoder", scratch / "e.dum", "--set", "steps=20",
        "--set", "width=16")
    return images, labels, scratch / "m.dum"


def test_certainty(scratch):
    """Every image where its score belongs, in sheets and page; the folder is there as a whole or not at all."""
    images, labels, model = image_scorer(scratch)
    out = scratch / "out"
    command = ("certainty", model, images, "--quiet", "--out")
    run(*command, out, "--labels", labels, "--row", 5, "--views", 9, "--top", 3, "--scale", 1)
    names = ["certain.png", "uncertain.png", "classes-certain.png", "classes-uncertain.png", "views-certain.png",
             "views-uncertain.png", "scores.csv", "summary.md", "report.html"]
    assert sorted(os.listdir(out)) == sorted(names)
    table = list(csv.DictReader((out / "scores.csv").open()))
    scores = [float(line["score"]) for line in table]
    assert [float(v) for v in run("score", "--model", model, "--data", images).split()] == scores
    assert [line["label"] for line in table] == ["0", "3"] * 30 and [int(line["row"]) for line in table] == list(range(60))

    order = sorted(range(60), key=lambda i: (scores[i], i))
    one = scratch / "one.png"

    def same_sheet(name, rows, columns=3):
        run("sheet", images, "--rows", ",".join(map(str, rows)), "--columns", columns, "--scale", 1, "--out", one)
        assert one.read_bytes() == (out / name).read_bytes(), name
    same_sheet("certain.png", order[:12])
    same_sheet("uncertain.png", order[::-1][:12])
    even, odd = [i for i in order if i % 2 == 0], [i for i in order if i % 2]
    same_sheet("classes-certain.png", even[:3] + odd[:3])
    same_sheet("classes-uncertain.png", even[::-1][:3] + odd[::-1][:3])
    page = ImagePage(out / "report.html")

    def same_images(heading, rows):
        found = page.images[heading]
        assert [int(text.split()[0]) for _, text in found] == rows, heading
        for (body, text), row in zip(found, rows):
            assert abs(float(text.split()[1]) - scores[row]) < 6e-4
            one.write_bytes(body)
            drawn = [colour for line in read_png(one) for pixel in line for colour in pixel]
            assert bytes(drawn) == images.read_bytes()[-60 * 288:][row * 288:row * 288 + 288]
    same_images(("All images", "Most certain"), order[:12])
    same_images(("All images", "Least certain"), order[::-1][:12])
    same_images(("Class 0", "Most certain"), even[:3])
    same_images(("Class 3", "Least certain"), odd[::-1][:3])
    same_images(("Views of one image",), [5])
    views = page.images[("Views of one image", "Most certain")], page.images[("Views of one image", "Least certain")]
    assert [len(side) for side in views] == [4, 4] and len({text.split()[0] for side in views for _, text in side}) == 8
    shown = [[float(text.split()[1]) for _, text in side] for side in views]
    assert shown[0] == sorted(shown[0]) and shown[1] == sorted(shown[1], reverse=True) and shown[0][-1] <= shown[1][-1]
    assert "60 images of 8 x 12 x 3" in page.text and "9 random views of image 5" in page.text
    summary = (out / "summary.md").read_text()
    assert summary.count("\n| ") == 3 + 8 - 1 + 2 and "| cropped to 25 % | " in summary, summary
    assert f"| 3 | 30 | {sum(scores[1::2]) / 30:.3f} | {scores[odd[0]]:.3f} | {scores[odd[-1]]:.3f} |" in summary

    # the same again, for any number of threads; neither labels nor views
    kept = {name: (out / name).read_bytes() for name in names}
    again = scratch / "again"
    again.mkdir()
    run(*command, str(again) + "/", "--labels", labels, "--row", 5, "--views", 9, "--top", 3, "--scale", 1, "--threads", 1)
    assert {name: (again / name).read_bytes() for name in os.listdir(again)} == kept
    run(*command, scratch / "plain")
    assert len(os.listdir(scratch / "plain")) == 5

    # at fault
    wrong = make_images(scratch / "w.npy", 8, (12, 8))
    few = write_npy(scratch / "few.npy", [0, 1], "|u1")
    table = write_npy(scratch / "x.npy", [[float(i), float(i * i % 7)] for i in range(30)])
    run("fit", "--quiet", "--data", table, "--model", scratch / "bare.dum", "--scorer", "hbos")
    before, none = sorted(os.listdir(scratch)), scratch / "none"
    run("certainty", code=2, message="MODEL is needed")
    run("certainty", model, code=2, message="IMAGES.npy is needed")
    run("certainty", model, images, code=2, message="--out is needed")
    run(*command, none, "--views", 5, code=2, message="--row is needed")
    run(*command, none, "--row", 5, code=2, message="--views is needed")
    run(*command, none, "--views", 1, "--row", 0, code=2, message="from 2 to 10000")
    run(*command, none, "--views", 5, "--row", 60, code=1, message="there is no image 60, expected 0 to 59")
    run(*command, none, "--seed", "x", code=2, message="--seed: bad value")
    run(*command, none, "--labels", few, code=1, message="has 2 labels")
    run(*command, out, code=1, message="holds something, expected a new folder")
    run(*command, images, code=1, message="cannot write")
    run(*command, scratch / "no" / "out", code=1, message="cannot write")
    run("certainty", model, wrong, "--out", none, code=1, message="has images of 12 x 8 x 3, the encoder takes 8 x 12 x 3")
    run("certainty", model, table, "--out", none, code=1, message="expected uint8")
    run("certainty", scratch / "bare.dum", images, "--out", none, code=1, message="no encoder below it")
    run("certainty", scratch / "e.dum", images, "--out", none, code=1, message='of kind "encoder"')
    done = subprocess.run([DUM, *map(str, command), none], stderr=subprocess.PIPE, restore_signals=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)))
    assert done.returncode == 1 and b"cannot write" in done.stderr, done
    assert sorted(os.listdir(scratch)) == before
    assert {name: (out / name).read_bytes() for name in names} == kept


def test_noise(scratch):
    """Tables, numbers and picture of one run tell the same; the null row is that of dum compare."""
    images, _, model = image_scorer(scratch)
    other = make_images(scratch / "j.npy", 40, (8, 12), 2)
    outs = [scratch / ("n" + ending) for ending in (".md", ".json", ".svg")]
    command = ["noise", model, images, other]
    run(*command, *[v for out in outs for v in ("--out", out)], "--seed", 3, "--threads", 2)
    told = json.loads(outs[1].read_text())
    assert told["n_a"] == 60 and told["n_b"] == 40
    compared = json.loads(run("compare", "--reference", images, "--sample", other, "--model", model))
    for mine, theirs in (("p", compared["pooled"]["p"]), ("cohens_d", compared["pooled"]["cohens_d"]),
                         ("auroc", compared["auroc"]), ("mean", compared["mean_sample"])):
        assert abs(told["none"][mine] - theirs) < 1e-12, mine
    names = re.findall(r"^\| `(\w+)` \|", (OPTIONS.parent / "images.md").read_text(), re.M)
    assert [row["name"] for row in told["corruptions"]] == names
    for row in told["corruptions"]:
        assert len(row["severities"]) == 5
        for key in ("mean", "auroc"):  # as many images of each severity
            assert abs(sum(part[key] for part in row["severities"]) / 5 - row["all"][key]) < 1e-9, (row["name"], key)
    fog = next(row for row in told["corruptions"] if row["name"] == "fog")
    spoilt = scratch / "fog.npy"
    run("corrupt", images, "--out", spoilt, "--corruption", "fog", "--severity", 4, "--seed", 3)
    compared = json.loads(run("compare", "--reference", images, "--sample", spoilt, "--model", model))
    assert abs(fog["severities"][3]["log10_p"] - compared["pooled"]["log10_p"]) < 1e-9
    assert abs(fog["severities"][3]["auroc"] - compared["auroc"]) < 1e-12

    text = outs[0].read_text()
    lines = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert [line[0] for line in lines[2:18]] == ["none"] + names and [line[0] for line in lines[20:]] == names
    line = next(line for line in lines if line[0] == "fog")
    assert line[2].split()[0] == f"{fog['all']['auroc']:.3f}" and line[7] == f"{fog['severities'][3]['auroc']:.3f}"
    assert abs(float(line[1]) / fog["all"]["p"] - 1) < 0.1
    drawn = xml.etree.ElementTree.parse(outs[2]).getroot()
    dots = list(drawn.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(dots) == 5 + 75 and all(140 <= float(dot.get("cx")) <= 700 for dot in dots)
    assert "nan" not in outs[2].read_text()

    kept = [out.read_bytes() for out in outs]
    run(*command, "--out", outs[1], "--seed", 3, "--threads", 1)
    assert outs[1].read_bytes() == kept[1]

    # Delays: what the t-test sees beyond doubt, a window sees at once; of clean images each alarm is a false one.
    later = [scratch / ("d" + ending) for ending in (".md", ".json", ".svg")]
    many, outs_2 = make_images(scratch / "k.npy", 600, (8, 12), 3), scratch / "n2.json"
    command_2 = ["noise", model, many, other, "--out", outs_2, *[v for out in later for v in ("--delays", out)], "--streams", 2, "--set", "window=20", "--set",
                 "false_alarms=4000", "--seed", 3]
    run(*command_2)
    told_2 = json.loads(outs_2.read_text())
    delays = json.loads(later[1].read_text())
    assert [row["name"] for row in delays["corruptions"]] == names and delays["all_streams"] == 2 * 3 * 76
    per_million = delays["false_alarms"] / (delays["all_streams"] * delays["rows_before"]) * 1e6
    assert 400 < per_million < 8000, per_million  # 4,000 wanted; drawn from 600 scores
    seen = 0
    for row, delay in zip(told_2["corruptions"], delays["corruptions"]):
        for part, cell in zip(row["severities"], delay["mann-whitney"]):
            if abs(part["auroc"] - 0.5) > 0.3:
                seen += 1
                assert cell["found"] == 2 and cell["median"] <= 60, (row["name"], part, cell)
    assert seen > 3
    text = later[0].read_text()
    assert text.count("\n| fog |") == text.count("\n| none |") == 3
    fog = next(row for row in delays["corruptions"] if row["name"] == "fog")["martingale"][4]
    if fog["found"] == 2:
        assert re.search(rf"^\| fog \|.*\| {fog['median']:.0f}, {fog['quantile_90']:.0f} \|$",
                         text[text.index("| martingale"):], re.M)
    dots = list(xml.etree.ElementTree.parse(later[2]).getroot().iter("{http://www.w3.org/2000/svg}circle"))
    assert len(dots) == 5 + 3 * 75
    kept_2 = later[1].read_bytes()
    run(*command_2, "--threads", 2, "--quiet")
    assert later[1].read_bytes() == kept_2

    # at fault
    wrong = make_images(scratch / "w.npy", 8, (12, 8))
    lone = make_images(scratch / "lone.npy", 1, (8, 12))
    table = write_npy(scratch / "x.npy", [[float(i), float(i * i % 7)] for i in range(30)])
    run("fit", "--quiet", "--data", table, "--model", scratch / "bare.dum", "--scorer", "hbos")
    before, none = sorted(os.listdir(scratch)), ("--out", scratch / "none.md")
    run("noise", code=2, message="MODEL is needed")
    run("noise", model, images, *none, code=2, message="HELD_OUT_B.npy is needed")
    run(*command, code=2, message="--out is needed")
    run(*command, images, *none, code=2, message="unexpected argument")
    run(*command, "--out", scratch / "none.txt", code=2, message="ends in .md, .json or .svg")
    lost = ("--delays", scratch / "none.svg")
    run(*command, "--delays", scratch / "none.txt", code=2, message="ends in .md, .json or .svg")
    run(*command, *lost * 4, code=2, message="three files at most")
    run(*command, *lost, "--set", "test=t", code=2, message="--delays has three tests")
    run(*command, *none, "--set", "window=9", code=2, message="--delays, which --set is for, is needed")
    run(*command, *lost, "--set", "windows=9", code=2, message="windows")
    run(*command, *lost, code=1, message="the reference has 60 rows")
    run(*command, *none, "--out", scratch / "no" / "n.svg", code=1, message="cannot write")
    run("noise", model, images, wrong, *none, code=1, message="has images of 12 x 8 x 3")
    run("noise", model, lone, other, *none, code=1, message="has 1 images")
    run("noise", scratch / "bare.dum", images, other, *none, code=1, message="no encoder below it")
    run("noise", model, table, other, *none, code=1, message="expected uint8")
    assert sorted(os.listdir(scratch)) == before


def test_images_script(scratch):
    """examples/images.sh, on small images in the place of CIFAR-10."""
    script = OPTIONS.parent.parent / "examples" / "images.sh"
    for number, name in enumerate(("cifar10_train", "cifar10_test")):
        folder = scratch / "images" / name
        folder.mkdir(parents=True)
        make_images(folder / "images.npy", 30, (8, 8), number)
        write_npy(folder / "labels.npy", [i % 2 for i in range(30)], "|u1")
    out, settings = scratch / "out", dict(os.environ, DUM=str(DUM), DUM_DATA=str(scratch))

    def run_script(*arguments, code=0):
        done = subprocess.run(["sh", script, *map(str, arguments)], env=settings, capture_output=True, text=True)
        assert done.returncode == code, done
        return done.stdout
    told = run_script(out, "--epochs", 1, "--threads", 1)
    assert "linear layer: " in told and "| cropped to 10 % | " in told and "| jpeg_compression | " in told
    assert json.loads((out / "noise.json").read_text())["n_b"] == 15
    assert json.loads(run("info", out / "model.dum"))["below"]["options"]["depth"] == 18
    made = (out / "encoder.dum").read_bytes()
    run("encoder", scratch / "images" / "cifar10_train" / "images.npy", "--out", scratch / "e.dum", *SMALL, "--set",
        "steps=2")
    told = run_script(out, "--encoder", scratch / "e.dum", "--certainty")
    assert "| cropped to 10 % | " in told and "| jpeg_compression | " not in told
    assert (out / "encoder.dum").read_bytes() == (scratch / "e.dum").read_bytes() != made
    assert json.loads(run("info", out / "model.dum"))["below"]["options"]["depth"] == 8
    run_script(code=2)
    run_script(out, "more", code=2)
    run_script(out, "--epochs", code=2)


def test_options(_):
    """docs/options.md is what `dum scorers` and `dum encoders` say."""
    for command in ("scorers", "encoders"):
        assert run(command) in OPTIONS.read_text(), f"{OPTIONS}: replace the block by the output of dum {command}"


with tempfile.TemporaryDirectory() as folder:
    for test in (main, test_options, test_vectors, test_explain, test_report, test_report_of_odd_data, test_writing, test_links,
                 test_stopping, test_checkpoints, test_monitor, test_images, test_encoder, test_certainty, test_noise, test_images_script, test_threads, test_examples):
        place = pathlib.Path(folder) / test.__name__
        place.mkdir()
        test(place)
print("ok")
