# SPDX-License-Identifier: MIT
"""Monitor: the same alarms as the tool, bad rows, errors, files, threads, fork."""

import json
import multiprocessing
import os
import pickle
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import dum

TESTS = ["t", "welch", "ks", "mann-whitney", "cusum", "page-hinkley", "martingale", "pot"]
OPTIONS = {"window": 50, "false_alarms": 100}


@pytest.fixture(scope="module")
def rows():
    """A reference, and a stream that differs from it from row 1000 on and has two bad rows."""
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(3000, 3)).astype(np.float32)
    stream = rng.normal(size=(2000, 3)).astype(np.float32)
    stream[1000:] *= 2
    stream[[70, 1300], 1] = np.nan, np.inf
    return reference, stream


@pytest.fixture(scope="module")
def scorer(rows):
    return dum.Scorer("mahalanobis").fit(rows[0][:1000])


def fitted(scorer, rows, **options):
    return dum.Monitor(**{**OPTIONS, **options}).fit(scorer, rows[0][1000:])


def same(a, b):
    """NaN is itself."""
    np.testing.assert_array_equal(np.array(a, dtype=float), np.array(b, dtype=float))


@pytest.mark.parametrize("test", TESTS)
def test_the_tool_raises_the_same_alarms(test, scorer, rows, tmp_path):
    tool = os.environ.get("DUM_TOOL")
    if not tool:
        pytest.skip("DUM_TOOL does not say where the tool dum is")
    reference, stream = rows[0][1000:], rows[1]
    np.save(tmp_path / "reference.npy", reference)
    np.save(tmp_path / "stream.npy", stream)
    scorer.save(tmp_path / "m.dum")
    words = ["--model", "m.dum", "--reference", "reference.npy", "--data", "stream.npy", "--state", "state.dum"]
    for setting in ({"test": test} | OPTIONS).items():
        words += ["--set", "{}={}".format(*setting)]
    done = subprocess.run([tool, "monitor", *words], check=True, capture_output=True, text=True, cwd=tmp_path)
    expected = [json.loads(line) for line in done.stdout.splitlines()]
    assert expected[-1]["alarms"] >= (test != "pot")
    assert expected[-1]["bad_rows"] == 2

    monitor = dum.Monitor(test=test, **OPTIONS).fit(scorer, reference)
    found = []
    for i in range(len(stream)):
        if monitor.push_rows(scorer, stream[i : i + 1]):
            found.append((monitor.read(), monitor.top()))
            monitor.reset()
    found.append((monitor.read(), monitor.top()))
    assert len(found) == len(expected)
    for (state, top), line in zip(found, expected, strict=True):
        assert state.alarm_row == (line.pop("alarm_row") or None)
        assert [row._asdict() for row in top] == line.pop("top")
        line.pop("event")
        assert set(line) == set(state._fields) - {"alarm_row"}
        same([getattr(state, name) for name in line], list(line.values()))
    assert monitor.to_bytes() == (tmp_path / "state.dum").read_bytes()


def test_rows_in_any_container_and_their_scores(scorer, rows):
    stream = rows[1]
    expected = fitted(scorer, rows)
    alarm = expected.push_rows(scorer, stream)
    assert alarm and expected.read().alarm
    state = expected.read()
    padded = np.zeros((len(stream), 5), dtype=np.float32)
    padded[:, :3] = stream
    for x in (
        stream.astype(float),
        np.asfortranarray(stream),
        padded[:, :3],
        pd.DataFrame(stream),
        dum.Dataset(stream),
    ):
        monitor = fitted(scorer, rows)
        assert monitor.push_rows(scorer, x) == alarm
        same(monitor.read(), state)
        assert monitor.top(3) == expected.top(3)
    finite = np.isfinite(stream).all(axis=1)
    scores = np.full(len(stream), np.nan)
    scores[finite] = scorer.score(stream[finite])
    by_scores = dum.Monitor(**OPTIONS).fit_scores(scorer.score(rows[0][1000:]))
    assert by_scores.push_scores(scores) == alarm
    same(by_scores.read(), state)
    assert not by_scores.fit_scores(scorer.score(rows[0])).push_scores(0.5)  # one number; and it began anew
    assert by_scores.read().rows == 1


def test_a_data_set_larger_than_a_block(scorer, rows):
    """Cut as the library cuts it: the same state, and bad rows are bad rows."""
    many = np.tile(rows[1], (20, 1))
    monitor, other = fitted(scorer, rows), fitted(scorer, rows)
    monitor.push_rows(scorer, many)
    other.push_rows(scorer, dum.Dataset.from_function(*many.shape, lambda wanted: many[wanted]))
    same(monitor.read(), other.read())
    assert monitor.to_bytes() == other.to_bytes()
    assert (monitor.read().rows, monitor.read().bad_rows) == (len(many), 40)


def test_bad_rows(scorer, rows):
    monitor = fitted(scorer, rows)
    before = monitor.read()
    assert before.alarm_row is None
    assert np.isnan(before.mean)
    assert monitor.top() == []
    assert not monitor.push_rows(scorer, np.full((3, 3), np.nan))
    assert not monitor.push_scores([np.nan, np.inf, 1.0])
    state = monitor.read()
    assert (state.rows, state.bad_rows, state.used_rows, state.window_rows) == (6, 5, 1, 1)


def test_errors(scorer, rows):
    monitor = fitted(scorer, rows)
    with pytest.raises(dum.ShapeError, match="cols is 2, the scorer was fitted on 3"):
        monitor.push_rows(scorer, np.ones((1, 2)))
    with pytest.raises(dum.ArgumentError, match="fitted with a mahalanobis of 3"):
        monitor.push_rows(dum.Scorer("ecod").fit(rows[0]), rows[1])
    with pytest.raises(dum.ArgumentError, match="scores, not rows"):
        dum.Monitor().fit_scores(scorer.score(rows[0])).push_rows(scorer, rows[1])
    with pytest.raises(dum.StateError, match=": call fit first"):
        dum.Monitor().push_scores([1.0])
    with pytest.raises(dum.ShapeError, match="reference"):
        dum.Monitor().fit(scorer, rows[0][:20])
    with pytest.raises(dum.NonfiniteError, match="NaN"):
        dum.Monitor().fit_scores([1.0, np.nan] * 1000)
    with pytest.raises(ValueError, match="1-dimensional"):
        monitor.push_scores([[1.0]])
    with pytest.raises(ValueError, match="window"):
        dum.Monitor(window=1)
    with pytest.raises(ValueError, match="mann-whitney"):
        dum.Monitor(test="f")
    with pytest.raises(dum.ArgumentError, match="most is 101"):
        monitor.top(101)
    with pytest.raises(TypeError, match="scorer_"):
        monitor.push_rows(dum.ECOD().fit(rows[0]), rows[1])
    names = pd.DataFrame(rows[0], columns=["a", "b", "c"])
    named = dum.Scorer("mahalanobis").fit(names)
    with pytest.raises(dum.ArgumentError, match='column 0 is named "c"'):
        dum.Monitor(**OPTIONS).fit(named, names).push_rows(named, names[["c", "b", "a"]])


def test_a_failed_fit_leaves_the_monitor(scorer, rows):
    monitor = fitted(scorer, rows)
    monitor.push_rows(scorer, rows[1])
    state = monitor.read()
    with pytest.raises(dum.ShapeError):
        monitor.fit(scorer, rows[0][:20])
    same(monitor.read(), state)


def test_a_saved_monitor_goes_on(scorer, rows, tmp_path):
    monitor = fitted(scorer, rows, test="cusum", seed=3)
    monitor.push_rows(scorer, rows[1][:500])
    monitor.save(tmp_path / "monitor")
    assert dum.inspect_model(tmp_path / "monitor").kind == "monitor"
    others = [
        dum.Monitor.load(tmp_path / "monitor"),
        dum.Monitor.from_bytes(monitor.to_bytes()),
        pickle.loads(pickle.dumps(monitor)),
    ]
    monitor.push_rows(scorer, rows[1][500:])
    for other in others:
        assert other.fitted
        assert other.options == monitor.options
        other.push_rows(scorer, rows[1][500:])
        same(other.read(), monitor.read())
        assert other.top() == monitor.top()
        assert other.fit(scorer, rows[0][1000:]).read().rows == 0
    new = pickle.loads(pickle.dumps(dum.Monitor(test="ks", window=100)))
    assert repr(new) == "Monitor(test='ks', window=100)"
    assert not new.fitted
    assert [param.name for param in dum.monitor_params()] == list(new.options)
    with pytest.raises(dum.FormatError):
        dum.Monitor.from_bytes(scorer.to_bytes())


def test_use_after_close(scorer, rows):
    with fitted(scorer, rows) as monitor:
        monitor.push_scores([1.0])
    assert repr(monitor) == "<closed Monitor>"
    x = rows[1][:5]
    for use in (monitor.read, monitor.reset, monitor.top, monitor.to_bytes, lambda: monitor.push_scores([1.0])):
        with pytest.raises(dum.ArgumentError, match="monitor is closed"):
            use()
    assert not monitor.fitted
    for closed, uses in [
        (
            dum.Scorer("dum", steps=1).fit(rows[0]),
            ["score", "explain", "deviation", "pvalue", "calibrate", "threshold"],
        ),
        (dum.Head(steps=1).fit(rows[0]), ["log_variance", "save"]),
    ]:
        closed.close()
        closed.close()
        for use in uses:
            arguments = {"pvalue": [1.0], "threshold": 0.1, "save": "nowhere"}
            with pytest.raises(dum.ArgumentError, match="(scorer|head) is closed"):
                getattr(closed, use)(arguments.get(use, x))
        with pytest.raises(dum.ArgumentError, match="is closed"):
            dict(closed.options)
        assert (closed.fitted, closed.cols) == (False, 0)
    with pytest.raises(dum.ArgumentError, match="scorer is closed"):
        scorer = dum.Scorer("ecod").fit(rows[0])
        scorer.close()
        monitor.fit(scorer, rows[0])
    assert scorer.fit(rows[0]).score(x[:1]).shape == (1,)


def test_threads(scorer, rows):
    """Pushed by four threads while others read and save: none is lost."""
    monitor = fitted(scorer, rows, test="ks")

    def push(part):
        for first in range(0, 2000, 20):
            monitor.push_rows(scorer, rows[1][first : first + 20])
            monitor.read(), monitor.top(), monitor.to_bytes()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(push, part) for part in range(4)]:
            done.result()
    assert (monitor.read().rows, monitor.read().bad_rows) == (8000, 8)


def test_close_while_others_push(scorer, rows):
    monitor = fitted(scorer, rows)

    def push():
        try:
            while True:
                monitor.push_rows(scorer, rows[1])
        except dum.ArgumentError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        pushing = [pool.submit(push) for _ in range(3)]
        while monitor.read().rows < 10_000:
            pass
        monitor.close()
        assert {done.result() for done in pushing} == {"monitor is closed"}


def _push_in_child(monitor, scorer, x, queue):
    monitor.push_rows(scorer, x)
    queue.put(tuple(monitor.read()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork(scorer, rows):
    monitor = fitted(scorer, rows)
    monitor.push_rows(scorer, rows[1][:100])
    process = multiprocessing.get_context("fork")
    queue = process.Queue()
    child = process.Process(target=_push_in_child, args=(monitor, scorer, rows[1][100:], queue))
    child.start()
    state = queue.get(timeout=60)
    child.join(60)
    assert monitor.read().rows == 100
    monitor.push_rows(scorer, rows[1][100:])
    same(monitor.read(), state)
