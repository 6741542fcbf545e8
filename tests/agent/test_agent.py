#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dum-agent end to end. Standard library only. Usage: test_agent.py path/to/dum path/to/dum-agent [--sanitized]"""
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from common import COLS, Agent, as_csv, as_floats, make_rows, parse, prepare, wait_for

DUM, AGENT, SANITIZED = sys.argv[1], sys.argv[2], "--sanitized" in sys.argv
ROW = 4 * COLS
UNIT = pathlib.Path(__file__).resolve().parents[2] / "examples" / "agent" / "dum-agent.service"


def run(*arguments, code=0, message="", program=AGENT, **more):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, timeout=300, **more)
    assert done.returncode == code, f"{arguments}: exit code {done.returncode}, expected {code}: {done.stderr}"
    assert message in done.stderr.decode(), f"{arguments}: {done.stderr!r} lacks {message!r}"
    return done.stdout.decode()


def saved(folder):
    return json.loads(run("info", folder / "s.dum", program=DUM))["rows"]


def test_usage(f):
    model, reference = ["--model", f / "m.dum"], ["--reference", f / "ref.csv"]
    assert "--socket" in run("--help") == run("-h") and run("--version").startswith("dum-agent ")
    run(code=2, message="--model is needed (see dum-agent --help)")
    run(*model, code=2, message="--reference is needed")
    run(*model, *reference, "--port", "70000", code=2, message="0 to 65535")
    run(*model, *reference, "--interval", "0", code=2, message="seconds")
    run(*model, *reference, "--format", "json", code=2, message="csv or float32")
    run(*model, *reference, "--name", 'a"b', code=2, message="letters")
    run(*model, *reference, "--svg", "x", code=2, message="no option --svg")
    run(*model, *reference, "rows.csv", code=2, message="unexpected argument")
    run("--model", f / "none.dum", *reference, code=1, message="none.dum")
    run("--model", f / "ref.csv", *reference, code=1, message="ref.csv")
    run(*model, *reference, "--set", "window=2", code=2, message="window")
    run(*model, *reference, "--metrics", f / "no" / "a.prom", code=1, message="cannot write")
    run(*model, *reference, "--state", f / "no" / "s.dum", code=1, message="s.dum")
    run(*model, *reference, "--alarms", f / "no" / "alarms", code=1, message="cannot open")
    run(*model, *reference, "--socket", "/" + "x" * 200, code=1, message="longer than")
    run(*model, *reference, "--socket", f / "ref.csv", code=1, message="cannot make the socket")
    assert (f / "ref.csv").exists()


def test_stdin(f):
    """CSV and float32 of the same rows: the metrics are what was fed, the alarms those of `dum monitor`."""
    rows = make_rows(1500, 3) + make_rows(500, 4, 2.5)
    rows[700][1] = float("nan")
    text = as_csv(rows)
    (f / "rows.csv").write_bytes(text)
    replayed = [json.loads(line) for line in run(
        "monitor", "--model", f / "m.dum", "--reference", f / "ref.csv", "--set", "test=cusum", "--set", "window=100",
        "--data", f / "rows.csv", program=DUM).splitlines()]
    assert len(replayed) > 5
    dirty = b"\xef\xbb\xbfalpha,beta,gamma\r\n\r\n" + text.replace(b"\n", b"\r\n", 300)[:-1]
    states = []
    for name, data, extra, malformed in (
            ("csv", text, [], 0), ("header", dirty, [], 0),
            ("semicolons", text.replace(b",", b" ; "), [], 0), ("float32", as_floats(rows), ["--format", "float32"], 0),
            ("cut", as_floats(rows) + b"abc", ["--format", "float32"], 1),
            ("bad", text + b"1,2\n1,2,3,4\n1,x,3\n1,2,3\0\n" + b"7" * 200000 + b",2,3\n\n\"1\",2,3\n,,\n", [], 6)):
        place = f / name
        shutil.copytree(f, place, ignore=lambda *_: ["csv", "header", "semicolons", "float32", "cut", "bad"])
        agent = Agent(AGENT, place, "--rearm", "0", "--name", name, *extra, use_socket=False)
        rng = random.Random(5)
        while data:
            size = rng.choice([1, 7, 100, 5000, 100000])
            agent.process.stdin.write(data[:size])
            agent.process.stdin.flush()
            data = data[size:]
        agent.process.stdin.close()
        assert agent.process.wait(120) == 0, agent.errors.read_text()
        found, last = agent.metrics(), replayed[-1]
        more = malformed + (name == "bad")  # and a row of missing cells
        assert found["dum_rows_total"] == 2000 + more == saved(place)
        assert found["dum_bad_rows_total"] == 1 + more and found["dum_malformed_rows_total"] == malformed
        assert found["dum_saved_rows"] == 2000 + more and found["dum_clients_total"] == 1
        assert f'monitor="{name}"' in agent.metrics_file.read_text()
        alarms = [json.loads(line) for line in agent.output.read_text().splitlines()]
        for alarm in alarms:
            assert alarm.pop("time").endswith("Z")
            assert alarm["rows"] == alarm["alarm_row"] and len(alarm["top"]) == 5
            assert all(a["score"] >= b["score"] for a, b in zip(alarm["top"], alarm["top"][1:]))
        if name != "cut" and "float32" not in name:
            assert alarms == replayed[:-1]
        assert [a["alarm_row"] for a in alarms] == [a["alarm_row"] for a in replayed[:-1]]
        assert found["dum_alarms_total"] == len(alarms)
        for metric, member in (("alarm_row",) * 2, ("statistic",) * 2, ("window_mean", "mean"), ("window_p95", "quantile_95"),
                               ("window_effect_size", "cohens_d"), ("reference_sd",) * 2, ("window_auroc", "auroc")):
            assert abs(found["dum_" + metric] - last[member]) <= 1e-6 * abs(last[member]), (metric, found, last)
        states.append((place / "s.dum").read_bytes())
    assert states[0] == states[1] == states[2], "the same rows, another state"


def test_socket(f):
    """Several clients at once, and those who look: metrics by file and by HTTP are one, slow ones are in nobody's way."""
    agent = Agent(AGENT, f, port=True)
    data = [as_csv(make_rows(4000, 10 + i)) for i in range(6)]
    # More than have a place; some say nothing, some never take the answer, some say too much.
    idle = []
    for i in range(40):
        viewer = socket.create_connection(("127.0.0.1", agent.port))
        viewer.sendall([b"", b"GET /metrics HTTP/1.1\r\n\r\n", b"x" * 5000][i % 3])
        idle.append(viewer)
    threads = [threading.Thread(target=agent.send, args=(d,)) for d in data]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = agent.wait_rows(24000)
    assert found["dum_rows_total"] == 24000 and found["dum_bad_rows_total"] == 0
    assert found["dum_malformed_rows_total"] == 0 and found["dum_clients_total"] >= 7
    for viewer in idle:
        viewer.close()
    status, body = agent.get()
    assert status == 200 and parse(body)["dum_rows_total"] == 24000
    assert [line.split(" ")[0] for line in body.splitlines()] == \
        [line.split(" ")[0] for line in agent.metrics_file.read_text().splitlines()]
    assert agent.get("/")[0] == 404 and agent.get(method="POST")[0] == 405
    assert agent.get("/metrics?x=1")[0] == 200
    promtool = shutil.which("promtool")
    for text in (body, agent.metrics_file.read_text()):
        if promtool is None:
            print("promtool is not installed (Debian: prometheus): the metrics' form is not checked")
            break
        run("check", "metrics", program=promtool, input=text.encode())
    # A client that is slow, with a row in two parts, while others come and go.
    with agent.connect() as slow:
        slow.sendall(b"0.1,0.")
        agent.send(b"1,2,3\n4,5,6")
        agent.wait_rows(24002)
        slow.sendall(b"2,0.3\n")
        agent.wait_rows(24003)
        assert agent.metrics()["dum_clients"] == 1
        # One who takes the socket while it is taken.
        run("--model", f / "m.dum", "--reference", f / "ref.csv", "--socket", agent.socket, code=1, message="in use")
        # More clients than have a place wait, and are served.
        many = [agent.connect() for _ in range(70)]
        for client in many:
            client.sendall(b"1,1,1\n")
        agent.wait_rows(24003 + 63)
        for client in many:
            client.close()
        agent.wait_rows(24003 + 70)
        slow.sendall(b"1,2")
        agent.end(signal.SIGTERM)
    assert saved(f) == 24003 + 70, "a part of a row was counted, or a row was lost"
    assert not agent.socket.exists()


def feed(agent, rows, start, stop):
    """Sends float32 rows from number `start` on until it is told to stop or cannot; returns the number of bytes that
    were taken."""
    sent = 0
    try:
        with agent.connect() as client:
            while not stop.is_set():
                at = start * ROW + sent
                sent += client.send(rows[at:at + 50000])
                if at >= len(rows) - 50000:
                    break
    except OSError:
        pass
    return sent


def test_term(f):
    """Told to end at any moment, it has counted each row that was sent."""
    rows = as_floats(make_rows(20000, 20)) * 50
    rng, total, done = random.Random(21), 0, []
    for turn in range(8):
        agent = Agent(AGENT, f, "--format", "float32", "--interval", "1000", reference=turn == 0)
        assert agent.metrics()["dum_rows_total"] == total
        sent, stop = [], threading.Event()
        threads = [threading.Thread(target=lambda: sent.append(feed(agent, rows, 0, stop))) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(rng.random() * 0.1)
        agent.end(signal.SIGTERM if turn % 2 else signal.SIGINT)
        stop.set()
        for thread in threads:
            thread.join()
        # What was sent of a row is no row: the client sends it again.
        total += sum(count // ROW for count in sent)
        done.append(total)
        assert saved(f) == total == agent.metrics()["dum_rows_total"], (saved(f), total, agent.metrics())
        assert agent.metrics()["dum_bad_rows_total"] == 0
    assert done[0] < done[-1], "nothing was sent"
    # What a pipe holds is taken, too; a line without an end is none.
    os.remove(f / "s.dum")
    os.remove(f / "a.prom")
    agent = Agent(AGENT, f, use_socket=False)
    wait_for(agent.metrics_file.exists, "the metrics")
    agent.process.stdin.write(as_csv(make_rows(900, 22)) + b"1,2,3\n1,2")
    agent.process.stdin.flush()
    agent.end(signal.SIGTERM)
    assert saved(f) == 901 == agent.metrics()["dum_rows_total"]


def test_kill(f):
    """Killed at any moment, it goes on from the last save; the metrics never claim rows that are not saved."""
    rows = as_floats(make_rows(20000, 30)) * 50
    rng, position, gained = random.Random(31), 0, 0
    for turn in range(12):
        agent = Agent(AGENT, f, "--format", "float32", "--interval", "0.01")
        begun = agent.metrics()["dum_rows_total"]
        assert begun == position, "the state is not the one that was saved"
        stop, sent = threading.Event(), []
        thread = threading.Thread(target=lambda: sent.append(feed(agent, rows, 0, stop)))
        thread.start()
        if turn % 3 == 0:
            agent.wait_rows(begun + 1)
        time.sleep(rng.random() * 0.15)
        agent.end(signal.SIGKILL, -signal.SIGKILL)
        stop.set()
        thread.join()
        position = saved(f)
        claimed = agent.metrics()
        assert claimed["dum_rows_total"] == claimed["dum_saved_rows"] <= position, (claimed, position)
        assert begun <= position <= begun + sent[0] // ROW
        gained += position > begun
    assert gained >= 4, "no round saved anything: the test sees nothing"
    # Another client can go on where the state ends, without loss and without a row twice.
    agent = Agent(AGENT, f, "--format", "float32")
    agent.send(rows[:1000 * ROW])
    agent.end(signal.SIGTERM)
    assert saved(f) == position + 1000
    left = [p for p in f.iterdir() if p.name.endswith(".tmp")]
    assert len(left) <= 1, left  # the next save takes over what a killed one left


def test_states(f):
    """What the state and the command line say must agree; a damaged state is an error."""
    agent = Agent(AGENT, f, use_socket=False)
    agent.process.stdin.close()
    assert agent.process.wait(120) == 0
    common = ["--model", f / "m.dum", "--state", f / "s.dum"]
    run(*common, "--reference", f / "ref.csv", "--set", "test=cusum", "--set", "window=200", code=1, message="another window")
    run(*common, "--reference", f / "ref.csv", code=1, message="another test")
    run(*common, input=b"")
    run("fit", "--scorer", "knn", "--data", f / "train.csv", "--model", f / "m.dum", program=DUM)
    run(*common, code=1, message="mahalanobis")
    whole = (f / "s.dum").read_bytes()
    (f / "s.dum").write_bytes(whole[:-9])
    run(*common, code=1, message="s.dum")


def test_alarms(f):
    """An alarm holds, and is one; re-armed it comes again. SIGHUP: a new file, a new model."""
    log = f / "alarms.jsonl"
    agent = Agent(AGENT, f, "--alarms", log, "--rearm", "3600")
    agent.send(as_csv(make_rows(3000, 40, 3)))
    found = agent.wait_rows(3000)
    assert found["dum_alarm"] == 1 and found["dum_alarms_total"] == 1 and len(log.read_text().splitlines()) == 1
    agent.end(signal.SIGTERM)
    agent = Agent(AGENT, f, "--alarms", log, "--rearm", "0.05")
    assert agent.metrics()["dum_alarm"] == 1, "an alarm ended with the process"
    wait_for(lambda: agent.metrics()["dum_alarm"] == 0, "the alarm ends")
    log.rename(f / "old.jsonl")
    agent.process.send_signal(signal.SIGHUP)
    wait_for(log.exists, "the alarms' file after SIGHUP")
    agent.send(as_csv(make_rows(200, 41, 3)))
    agent.wait_rows(3200)
    assert len((f / "old.jsonl").read_text().splitlines()) == 1
    assert json.loads(log.read_text().splitlines()[0])["alarm_row"] <= 3200
    # No change, no model: nothing happens; a broken one: the old one goes on; another one: it begins anew.
    model = (f / "m.dum").read_bytes()
    for content in (model, model[:100]):
        (f / "m.dum").write_bytes(content)
        begun = agent.errors.stat().st_size
        agent.process.send_signal(signal.SIGHUP)
        if content != model:
            wait_for(lambda: agent.errors.stat().st_size > begun, "a message")
        agent.send(b"1,2,3\n")
    agent.wait_rows(3202)
    run("fit", "--scorer", "knn", "--data", f / "train.csv", "--model", f / "m.dum", program=DUM)
    agent.process.send_signal(signal.SIGHUP)
    wait_for(lambda: 'scorer="knn"' in agent.metrics_file.read_text(), "the new model")
    assert agent.metrics()["dum_rows_total"] == 0
    agent.send(b"1,2,3\n")
    agent.wait_rows(1)
    agent.end(signal.SIGTERM)


def test_names(f):
    """A stream whose header names other columns is refused: its rows would be numbers like any others."""
    (f / "train.csv").write_bytes(b"alpha,beta,the gamma\n" + as_csv(make_rows(1000, 1)))
    run("fit", "--scorer", "mahalanobis", "--data", f / "train.csv", "--model", f / "m.dum", program=DUM)
    agent = Agent(AGENT, f)
    right = (b"alpha,beta,the gamma\n", b"\xef\xbb\xbf\n\r\nalpha;\"beta\"; the gamma \r\n", b"")
    wrong = {b"beta,alpha,the gamma\n": b'"beta" as column 0 (from 0), the scorer was fitted with "alpha" there',
             b"alpha,beta\n": b"a header has 2 columns, the scorer 3", b"alpha,beta,the gamma,\n": b"has 4 columns",
             b'alpha,"beta,the gamma\n': b"a quoted cell does not end", b"1,2,x\n": b'"1" as column 0'}
    for header in right:
        agent.send(header + b"1,2,3\n")
    for count, (header, message) in enumerate(wrong.items()):
        with agent.connect() as client:
            client.sendall(header + b"1,2,3\n")
            try:
                assert client.recv(1) == b"", "a refused client is cut"
            except ConnectionResetError:
                pass
        assert message in agent.errors.read_bytes()
        wait_for(lambda: agent.metrics()["dum_refused_clients_total"] == count + 1, "the client is counted")
    found = agent.wait_rows(len(right))
    assert found["dum_rows_total"] == len(right) and found["dum_bad_rows_total"] == 0 and found["dum_clients"] == 0
    # The columns of a new model in another order are other columns.
    (f / "train.csv").write_bytes(b"beta,alpha,the gamma\n" + as_csv(make_rows(1000, 9)))
    run("fit", "--scorer", "mahalanobis", "--data", f / "train.csv", "--model", f / "m.dum", program=DUM)
    agent.process.send_signal(signal.SIGHUP)
    wait_for(lambda: b"the old model goes on" in agent.errors.read_bytes(), "a message")
    agent.end(signal.SIGTERM)
    assert saved(f) == len(right)
    (f / "s.dum").unlink()
    run("--model", f / "m.dum", "--reference", f / "ref.csv", "--state", f / "s.dum", input=b"alpha,beta,the gamma\n1,2,3\n",
        code=1, message='"alpha" as column 0')
    assert saved(f) == 0


def test_descriptors(f):
    """More clients than there are descriptors wait, and nobody spins meanwhile; what is to be saved is saved."""
    agent = Agent(AGENT, f, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)), port=True)
    clients = [agent.connect() for _ in range(40)]
    for client in clients:
        client.sendall(b"1,2,3\n")
    wait_for(lambda: b"Too many open files" in agent.errors.read_bytes(), "a message")
    began, used = time.monotonic(), agent.processor_seconds()
    time.sleep(2)
    assert agent.processor_seconds() - used < (time.monotonic() - began) / 4, "it spins"
    before = agent.metrics()
    assert 0 < before["dum_clients"] < 24 and before["dum_write_errors_total"] == 0
    clients[0].sendall(b"1,2,3\n")
    agent.wait_rows(before["dum_rows_total"] + 1)
    assert saved(f) >= before["dum_rows_total"]
    for client in clients:
        client.close()
    found = agent.wait_rows(41)
    assert found["dum_rows_total"] == 41 and found["dum_write_errors_total"] == 0
    assert agent.get()[0] == 200
    assert agent.errors.read_bytes().count(b"Too many open files") == 1
    agent.end(signal.SIGTERM)


def test_memory(f):
    """At full speed the memory is flat."""
    rows = as_csv(make_rows(20000, 50)) + b"1,2\nx,y\nnan,1,1\n"
    agent = Agent(AGENT, f, "--interval", "0.2", port=True)
    sizes = []
    for turn in range(30):
        agent.send(rows)
        agent.get()
        agent.wait_rows(20003 * (turn + 1))
        sizes.append(agent.memory())
    assert agent.metrics()["dum_rows_total"] == 30 * 20003
    agent.end(signal.SIGTERM)
    if not SANITIZED:  # whose allocator keeps what is freed
        assert sizes[-1] <= sizes[4] + 256, f"KiB: {sizes}"


def test_unit(f):
    """systemd takes the unit as it is."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        print("systemd-analyze is not installed: the unit is not checked")
        return
    text = UNIT.read_text()
    assert text.count("ExecStart=/usr/bin/dum-agent ") == 1
    unit = f / UNIT.name
    unit.write_text(text.replace("ExecStart=/usr/bin/dum-agent ", f"ExecStart={pathlib.Path(AGENT).resolve()} "))
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "dum-agent.service" not in done.stderr, done.stderr
    # It knows each option that the unit gives.
    options = [word for word in text.split() if word.startswith("--")]
    assert len(options) == 6 and all(word in run("--help") for word in options)


tests = (test_unit, test_usage, test_stdin, test_socket, test_term, test_kill, test_states, test_alarms, test_names,
         test_descriptors, test_memory)
wanted = [name for name in sys.argv[3:] if not name.startswith("--")]
with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/tmp")) as scratch:
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        place = pathlib.Path(scratch) / test.__name__
        place.mkdir()
        prepare(DUM, place)
        test(place)
        print(test.__name__)
