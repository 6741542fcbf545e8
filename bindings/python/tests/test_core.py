# SPDX-License-Identifier: MIT
"""Scorer, Head, Dataset, Context: values, arrays, errors, callbacks, threads."""

import array
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.pipeline import make_pipeline

import dum

# But those that need rows of an encoder.
KINDS = [kind for kind in dum.scorer_kinds() if kind not in ("gram", "mds", "rotation", "vim")]
QUICK = {
    "dum": {"steps": 30, "width": 16},
    "autoencoder": {"epochs": 5},
    "deepsvdd": {"epochs": 5},
    "repen": {"steps": 20},
}


def make(kind="ecod", **options):
    return dum.Scorer(kind, **{**QUICK.get(kind, {}), **options})


# ---- Arrays ----


class OnlyDlpack:
    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **more):
        return self.x.__dlpack__(**more)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


def test_the_same_rows_in_any_container_have_the_same_scores(table):
    x = table[0]
    scorer = make().fit(x)
    expected = scorer.score(x)
    padded = np.zeros((len(x), x.shape[1] + 3), dtype=np.float32)
    padded[:, :-3] = x
    same = [x.astype(np.float64), np.asfortranarray(x), x.astype(object), memoryview(x), OnlyDlpack(x), pd.DataFrame(x)]
    same += [x.astype(">f4"), x.tolist(), padded[:, :-3], np.repeat(x, 2, axis=0)[::2], x[::-1][::-1]]
    same += [memoryview(array.array("f", x.ravel())).cast("B").cast("f", shape=x.shape)]
    for one in same:
        np.testing.assert_array_equal(scorer.score(one), expected)
    np.testing.assert_array_equal(scorer.score(x[::-1]), expected[::-1])
    read_only = x.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(scorer.score(read_only), expected)


@pytest.mark.parametrize("wrap", [lambda x: x, memoryview, OnlyDlpack, lambda x: x[:, :5], lambda x: x[::2]])
def test_float32_rows_are_not_copied(table, wrap):
    x = table[0]
    assert np.shares_memory(dum.Dataset(wrap(x))._keep[1], x)


def test_a_million_rows_are_not_copied():
    x = np.random.default_rng(0).normal(size=(1_000_000, 16)).astype(np.float32)
    tracemalloc.start()
    scores = make("hbos").fit(x).score(x)
    detector = dum.HBOS().fit(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(scores, detector.decision_scores_)
    assert peak < 0.75 * x.nbytes, f"{peak / 1e6:.0f} MB beside {x.nbytes / 1e6:.0f} MB of rows"  # scores, labels


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (scipy.sparse.eye(5).tocsr(), TypeError, "toarray"),
        (np.ma.masked_less(np.ones((5, 2)), 0), TypeError, "masked"),
        (np.ones(5), ValueError, "2-dimensional"),
        (np.ones((5, 2, 2)), ValueError, "2-dimensional"),
        (np.ones((5, 2)) + 1j, ValueError, "Complex"),
        ([["a", "b"]], ValueError, "not numbers"),
        (np.array([["a", 1.0]], dtype=object), ValueError, "could not convert"),
        (np.array([["2020-01-01"]], dtype="M8[s]"), ValueError, "not numbers"),
        (np.array([[1.0, 2.0], [3.0, 1e300]]), ValueError, "row 1, column 1 is 1e\\+300"),
        (np.array([[1.0, 2.0], [np.nan, 3.0]]), dum.NonfiniteError, "row 1, column 0 \\(from 0\\) is NaN"),
        (np.array([[1.0, np.inf], [0.0, 3.0]]), dum.NonfiniteError, "row 0, column 1 \\(from 0\\) is inf"),
        (
            pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
            dum.NonfiniteError,
            "row 1, column 0 \\(from 0\\) is NaN",
        ),
        (np.ones((0, 2)), dum.ShapeError, "0"),
        (np.ones((3, 0)), dum.ShapeError, "0"),
    ],
)
def test_what_cannot_be_read_is_refused(x, kind, message):  # needs 1 and 12
    with pytest.raises(kind, match=message):
        make().fit(x)


def test_another_number_of_columns_is_refused(table):  # needs 10
    scorer = make().fit(table[0])
    with pytest.raises(dum.ShapeError, match="30"):
        scorer.score(table[0][:, :29])


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_alone_has_its_score_in_the_batch(table, kind):  # needs 8
    x = table[0][:100]
    scorer = make(kind).fit(x)
    together = scorer.score(x)
    np.testing.assert_array_equal([scorer.score(x[i : i + 1])[0] for i in range(100)], together)
    assert np.isfinite(together).all()


def test_column_names_are_kept_and_compared(table):  # needs 40
    frame = pd.DataFrame(table[0]).add_prefix("c")
    scorer = make().fit(frame)
    assert scorer.names == list(frame.columns)
    assert dum.Scorer.from_bytes(scorer.to_bytes()).names == scorer.names
    np.testing.assert_array_equal(scorer.score(frame), scorer.score(table[0]))
    with pytest.raises(dum.ArgumentError, match="c0"):
        scorer.score(frame[frame.columns[::-1]])
    np.testing.assert_array_equal(scorer.explain(dum.Dataset(frame)), scorer.explain(table[0]))
    for other in (frame[frame.columns[::-1]], dum.Dataset(frame[frame.columns[::-1]])):
        with pytest.raises(dum.ArgumentError, match='column 0 is named "c29"'):
            scorer.explain(other)
    with pytest.raises(dum.ArgumentError, match='"c29"'):
        make("dum").fit(frame).deviation(frame[frame.columns[::-1]])
    with pytest.raises(dum.ArgumentError, match='"c29"'):
        make("dum").fit(frame).fit(frame[frame.columns[::-1]], warm_start=True)
    assert dum.Dataset(table[0], [f"n{i}" for i in range(30)]).names[29] == "n29"
    assert dum.Dataset(table[0]).names is None


# ---- Scorer ----


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_scorer_gives_the_same_bits(table, kind, tmp_path):  # needs 28
    x = table[0]
    scorer = make(kind, holdout=0.2).fit(x)
    scorer.save(tmp_path / "model")
    expected = scorer.score(x)
    for other in (
        dum.Scorer.load(tmp_path / "model"),
        dum.Scorer.from_bytes(scorer.to_bytes()),
        pickle.loads(pickle.dumps(scorer)),
    ):
        np.testing.assert_array_equal(other.score(x), expected)
        assert other.kind == kind
        assert other.threshold(0.05) == scorer.threshold(0.05)
        assert other.options == scorer.options
        np.testing.assert_array_equal(other.fit(x).score(x), expected)
    assert dum.inspect_model(tmp_path / "model").kind == f"scorer.{kind}"


def test_options(table):
    scorer = dum.Scorer("dum", epochs=3, preset="paper")
    assert scorer.options["preset"] == "paper"
    assert scorer.options["epochs"] == 3  # though preset, which sets it, was named later
    assert pickle.loads(pickle.dumps(scorer)).options == scorer.options
    back = dum.Scorer("dum", preset="paper", objective="local", steps=5, width=16)
    assert pickle.loads(pickle.dumps(back.fit(table[0]))).fit(table[0]).options == back.options
    assert repr(dum.Scorer("knn", neighbours=7)) == "Scorer('knn', neighbours=7)"
    for options, kind, message in [
        ({"neighbors": 5}, ValueError, "neighbors"),
        ({"neighbours": 0}, ValueError, "neighbours"),
        ({"neighbours": "many"}, ValueError, "neighbours"),
        ({"neighbours": None}, TypeError, "neighbours"),
        ({"method": "best"}, ValueError, "largest"),
    ]:
        with pytest.raises(kind, match=message):
            dum.Scorer("knn", **options)
    with pytest.raises(dum.ArgumentError, match="nonesuch"):
        dum.Scorer("nonesuch")


def test_threshold_and_pvalue(table):
    x, malignant = table
    benign = x[malignant == 0]
    scorer = make().fit(benign[:200])
    with pytest.raises(dum.StateError, match=": call calibrate, or"):
        scorer.threshold(0.05)
    assert scorer.calibrate(benign[200:]).calibration_count == len(benign) - 200
    threshold = scorer.threshold(0.05)
    assert np.mean(scorer.score(benign[200:]) > threshold) <= 0.05
    p = scorer.pvalue(scorer.score(x))
    assert ((p > 0) & (p <= 1)).all()
    assert np.median(p[malignant == 1]) < 0.05 < np.median(p[malignant == 0])
    with pytest.raises(dum.ArgumentError):
        scorer.threshold(1e-9)


def test_explain(table):
    x = table[0]
    share = make("hbos").fit(x).explain(x)
    assert share.shape == x.shape
    np.testing.assert_allclose(share.sum(axis=1), 1, atol=1e-5)
    head = make("dum", covariance="diagonal").fit(x)
    assert (head.deviation(x) > 0).all()
    with pytest.raises(NotImplementedError):
        make("iforest").fit(x).explain(x)
    for kind in ("hbos", "knn"):
        with pytest.raises(NotImplementedError, match="deviation is for scorer dum"):
            make(kind).fit(x).deviation(x)


def test_use_before_fit(table):
    with pytest.raises(dum.StateError, match=": call fit first"):
        make().score(table[0])
    with pytest.raises(dum.StateError):
        make().save("nowhere")
    assert not make().fitted


def test_bad_files(tmp_path, table):  # needs 18
    with pytest.raises(OSError, match="dum_scorer_missing") as caught:
        dum.Scorer.load(tmp_path / "dum_scorer_missing")
    assert caught.value.status == -6
    for use in (dum.Scorer.load, make().fit(table[0]).save, dum.Dataset.from_npy):
        with pytest.raises(ValueError, match="NUL"):
            use(f"{tmp_path}/a\0b")
    assert not list(tmp_path.iterdir())
    data = bytearray(make().fit(table[0]).to_bytes())
    with pytest.raises(dum.Error):
        dum.Scorer.from_bytes(data[: len(data) // 2])
    data[-1] ^= 1
    with pytest.raises(dum.ChecksumError):
        dum.Scorer.from_bytes(data)
    with pytest.raises(dum.FormatError):
        dum.Scorer.from_bytes(b"")
    error = pickle.loads(pickle.dumps(dum.ShapeError("as joblib sends it")))
    assert error.status == -2
    assert str(error) == "as joblib sends it"


def test_a_failed_fit_leaves_the_fitted_scorer(table):
    scorer = make().fit(table[0])
    expected = scorer.score(table[0])
    with pytest.raises(dum.NonfiniteError):
        scorer.fit(np.full((10, 30), np.nan))
    np.testing.assert_array_equal(scorer.score(table[0]), expected)


def test_limit_of_memory(table):
    context = dum.Context(max_bytes=200_000)
    with pytest.raises(MemoryError):
        dum.Scorer("dum", context=context).fit(table[0])


# ---- Head, product of experts ----


def test_head(table, tmp_path):
    head = dum.Head(steps=30, width=16, covariance="diagonal").fit(table[0])
    s = head.log_variance(table[0])
    assert s.shape == table[0].shape
    head.save(tmp_path / "head")
    np.testing.assert_array_equal(dum.Head.load(tmp_path / "head").log_variance(table[0]), s)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(head)).log_variance(table[0]), s)
    more = dum.Head.load(tmp_path / "head").fit(table[0], warm_start=True)
    assert not np.array_equal(more.log_variance(table[0]), s)
    pairs = table[0] + np.float32(0.01)
    assert dum.Head(steps=5).fit(table[0], pairs=pairs).log_variance(table[0]).shape == (len(pairs), 1)


def test_checkpoints(table, tmp_path):
    options = {"epochs": 6, "steps": 0, "width": 16}
    whole = dum.Head(**options).fit(table[0]).log_variance(table[0])
    kept = []

    def stop(p):
        return p.epoch > 3

    part = dum.Head(**options).fit(table[0], progress=stop, checkpoint=kept.append, checkpoint_path=tmp_path / "c")
    assert not np.array_equal(part.log_variance(table[0]), whole)
    for resume in ({"resume_from": kept[-1]}, {"checkpoint_path": tmp_path / "c", "resume": True}):
        np.testing.assert_array_equal(dum.Head(**options).fit(table[0], **resume).log_variance(table[0]), whole)


def test_ranks_share_a_fit(table):
    x = table[0]
    options = {"steps": 20, "width": 16, "optimizer": "sgd", "rate": 0.05}
    whole = dum.Head(batch=64, **options).fit(x).log_variance(x)
    given = [None, None]
    barrier = threading.Barrier(2)

    def fit(rank):
        def add_up(values):
            given[rank] = values.copy()
            barrier.wait()
            total = given[0] + given[1]
            barrier.wait()
            values[:] = total

        return dum.Head(batch=32, **options).fit(x, reduce=add_up, rank=rank, ranks=2).log_variance(x)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(fit, range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, whole, rtol=1e-4, atol=1e-4)

    def fail(values):
        assert values.dtype == np.float32
        raise LookupError("the network is down")

    with pytest.raises(LookupError, match="the network is down"):
        dum.Head(**options).fit(x, reduce=fail)
    with pytest.raises(dum.ArgumentError, match=r"options\.reduce is NULL"):
        dum.Head(**options).fit(x, ranks=2)
    with pytest.raises(dum.ArgumentError, match=r"options\.reduce made 1 of a 1"):
        dum.Head(**options).fit(x, ranks=2, reduce=lambda values: values)
    with pytest.raises(dum.ArgumentError, match="heads and scorer dum"):
        make().fit(x, reduce=fail)


def test_product_of_experts():
    rng = np.random.default_rng(0)
    means, s = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    mean, log_variance = dum.product_of_experts(means, s)
    precision = np.exp(-s)
    np.testing.assert_allclose(mean, (precision * means).sum(0) / precision.sum(0), rtol=1e-5)
    np.testing.assert_allclose(log_variance, -np.log(precision.sum(0)), rtol=1e-5)
    assert dum.product_of_experts(means, s[:, 0])[1].shape == (1,)
    with pytest.raises(ValueError, match="log_variances"):
        dum.product_of_experts(means, s[:4])


# ---- Datasets ----


def test_datasets(table, tmp_path):
    x = table[0]
    expected = make().fit(x).score(x)
    np.save(tmp_path / "x.npy", x)
    mapped = dum.Dataset.from_npy(tmp_path / "x.npy")
    made = dum.Dataset.from_function(*x.shape, lambda rows: x[rows])
    for data in (mapped, made):
        assert (data.rows, data.cols, len(data)) == (*x.shape, len(x))
        np.testing.assert_array_equal(data.read(3, 5), x[3:8])
        np.testing.assert_array_equal(make().fit(data).score(data), expected)
    with pytest.raises(dum.ShapeError):
        mapped.read(0, len(x) + 1)
    with pytest.raises(TypeError):
        pickle.dumps(mapped)


def test_an_exception_in_a_callback_comes_back(table):
    def read(rows):
        raise LookupError("no such rows")

    with pytest.raises(LookupError, match="no such rows"):
        make().fit(dum.Dataset.from_function(100, 3, read))
    with pytest.raises(ValueError, match="broadcast"):
        make().fit(dum.Dataset.from_function(100, 3, lambda rows: np.ones((2, 2))))

    def progress(p):
        raise ZeroDivisionError

    scorer = make("dum")
    with pytest.raises(ZeroDivisionError):
        scorer.fit(table[0], progress=progress)
    make("dum").fit(table[0])  # nothing is left over


# ---- Progress, Ctrl-C, threads, fork ----


def test_progress(table, capsys):
    seen = []
    make("dum").fit(table[0], progress=seen.append)
    assert seen[-1].step == seen[-1].steps == 30
    assert [p.step for p in seen] == sorted(p.step for p in seen)
    pytest.importorskip("tqdm")
    make("dum").fit(table[0], progress=True)
    assert "30/30" in capsys.readouterr().err
    make("lof").fit(table[0], progress=True)  # no steps
    assert "569/569" in capsys.readouterr().err


def test_max_seconds(table):
    start = time.monotonic()
    scorer = dum.Scorer("dum", steps=10**9).fit(table[0], max_seconds=0.3)
    assert time.monotonic() - start < 10
    assert np.isfinite(scorer.score(table[0])).all()


def test_a_fit_that_is_stopped_too_early(table):
    scorer = dum.Scorer("lof").fit(table[0])
    expected = scorer.score(table[0])
    with pytest.raises(dum.Cancelled):
        scorer.fit(table[0], max_seconds=1e-9)
    np.testing.assert_array_equal(scorer.score(table[0]), expected)


@pytest.mark.parametrize("detector", [False, True])
def test_ctrl_c_stops_a_fit(table, detector, request):
    # Ignored from the start where the tests run as a background job of a script: the fit would never end.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, handler))
    model = dum.DUM(steps=10**9) if detector else dum.Scorer("dum", steps=10**9)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    start = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(table[0], max_seconds=60)
    assert time.monotonic() - start < 10
    scores = model.score_samples(table[0]) if detector else model.score(table[0])
    assert np.isfinite(scores).all()


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """Rows that take long to score, and what takes them."""
    x = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)
    many = np.tile(x, (5, 1))
    path = tmp_path_factory.mktemp("slow") / "many.npy"
    np.save(path, many)
    frame, mapped = pd.DataFrame(many), dum.Dataset.from_npy(path)
    scorer, detector = dum.Scorer("knn").fit(x), dum.KNN()
    detector.__dict__ |= {"scorer_": scorer, "offset_": 0.0, "n_features_in_": 64}
    head = dum.Head(steps=1, width=512, layers=8).fit(x[:100])
    encoder = dum.Encoder("mlp", units=512, layers=8, steps=1).fit(x[:300])
    monitor = dum.Monitor(window=50, false_alarms=100).fit(scorer, x[:300])
    return {
        "score": lambda: scorer.score(many),
        "score a data frame": lambda: scorer.score(frame),
        "score a file": lambda: scorer.score(mapped),
        "explain": lambda: scorer.explain(many),
        "predict": lambda: detector.predict(many),
        "log_variance": lambda: head.log_variance(many),
        "transform": lambda: encoder.transform(many),
        "transform bytes": lambda: encoder.transform(many.astype(np.uint8)),
        "push_rows": lambda: monitor.push_rows(scorer, many),
    }


@pytest.mark.parametrize(
    "what",
    [
        "score",
        "score a data frame",
        "score a file",
        "explain",
        "predict",
        "log_variance",
        "transform",
        "transform bytes",
    ]
    + ["push_rows"],
)
def test_ctrl_c_stops_scoring(slow, what, request):
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, handler))
    me, over = threading.get_ident(), threading.Event()

    def interrupt():
        """Once the call has come to its blocks."""
        while not over.is_set():
            if any(frame.f_code.co_name == "by_blocks" for frame, _ in traceback.walk_stack(sys._current_frames()[me])):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.001)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            slow[what]()
    finally:
        over.set()
        waiting.join()
    (blocks,) = [entry.frame.f_locals for entry in caught.traceback if entry.name == "by_blocks"]
    assert blocks.get("first", 0) < blocks.get("rows", 1), "it came when all was done"


def test_blocks_have_the_bits_of_the_whole(table):
    x = np.tile(table[0], (40, 1)) * np.random.default_rng(0).uniform(0.5, 2, (40 * 569, 1)).astype(np.float32)
    scorer = make("dum", covariance="diagonal", holdout=0.2).fit(x[:500])
    pieces = [slice(i, i + 7) for i in range(0, 2100, 7)]
    for call in (scorer.score, scorer.explain, scorer.deviation):
        np.testing.assert_array_equal(call(x)[:2100], np.concatenate([call(x[piece]) for piece in pieces]))
    scores = scorer.score(x)
    np.testing.assert_array_equal(scorer.score(dum.Dataset.from_function(*x.shape, lambda rows: x[rows])), scores)
    np.testing.assert_array_equal(scorer.pvalue(np.tile(scores, 50))[-len(x) :], scorer.pvalue(scores))
    x[[5000, 21_000], 2] = np.nan
    for call in (scorer.score, scorer.explain):
        for rows in (x, dum.Dataset(x), pd.DataFrame(x)):
            with pytest.raises(dum.NonfiniteError, match="row 5000, column 2"):
                call(rows)
    assert scorer.score(x[:0]).shape == (0,)


def test_the_gil_is_released(table):
    worker = threading.Thread(target=lambda: dum.Scorer("dum", steps=10**9).fit(table[0], max_seconds=1))
    worker.start()
    turns = 0
    while worker.is_alive():
        turns += 1
        time.sleep(0.001)
    assert turns > 50


def test_threads_score_while_another_fits(table):
    x = table[0]
    scorer = make("iforest", trees=20).fit(x)
    expected = scorer.score(x)
    end = time.monotonic() + 1

    def score():
        while time.monotonic() < end:
            np.testing.assert_array_equal(scorer.score(x), expected)

    def refit():
        while time.monotonic() < end:
            scorer.fit(x)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(score) for _ in range(3)] + [pool.submit(refit)]:
            done.result()


def _score_in_child(scorer, x, queue):
    queue.put(scorer.score(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork(table):
    x = table[0]
    scorer = make("dum").fit(x)
    expected = scorer.score(x)
    process = multiprocessing.get_context("fork")
    queue = process.Queue()
    child = process.Process(target=_score_in_child, args=(scorer, x, queue))
    child.start()
    np.testing.assert_array_equal(queue.get(timeout=60), expected)
    child.join(60)


def test_the_same_bits_for_any_number_of_threads(table):  # needs 14
    scores = [
        dum.Scorer("dum", steps=30, context=dum.Context(threads=n)).fit(table[0]).score(table[0]) for n in (1, 2, 5)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


def test_context(caplog):
    context = dum.Context(backend="ref", threads=2)
    assert (context.backend, context.threads) == ("ref", 2)
    assert context.bytes >= 0
    assert any(b.available for b in dum.backends())
    with pytest.raises(dum.BackendError):
        dum.Context(backend="cuda", module_dir="/nonexistent")
    with caplog.at_level(logging.DEBUG, logger="dum"):
        make("ecod", context=dum.Context()).fit(np.ones((50, 2)))
    assert any("one" in line.message or "same" in line.message for line in caplog.records)
    dum.set_threads(1)
    assert dum.Scorer("knn")._context.threads == 1
    dum.set_threads(0)


def test_warnings(tmp_path, caplog):
    """Seen without a log, with the line of the caller; an error where the user wants that, and the fit is done."""
    same = np.ones((50, 2))
    for fit in (dum.Scorer("ecod").fit, dum.ECOD().fit):
        with pytest.warns(dum.DumWarning, match="one and the same score") as caught:
            fit(same)
        assert [w.filename for w in caught] == [__file__]
    with pytest.warns(dum.DumWarning):
        make_pipeline(dum.ECOD()).fit(same)
    scorer = dum.Scorer("ecod")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(dum.DumWarning, match="one and the same"):
            scorer.fit(same)
        scorer.score(same)
        scorer.fit(np.arange(100.0).reshape(50, 2))
    with pytest.warns(dum.DumWarning, match="no checkpoint, training goes on"):
        dum.Head(steps=2, width=8).fit(np.eye(9), checkpoint_path=tmp_path / "missing" / "c")
    quiet = "import numpy, dum; dum.Scorer('ecod').fit(numpy.ones((50, 2)))"
    shown = subprocess.run([sys.executable, "-c", quiet], capture_output=True, text=True, check=True)
    assert "<string>:1: DumWarning: 50 training rows" in shown.stderr
    quiet = "import warnings, dum; warnings.simplefilter('ignore', dum.DumWarning)\n" + quiet
    shown = subprocess.run([sys.executable, "-c", quiet], capture_output=True, text=True, check=True)
    assert shown.stderr == shown.stdout == ""
    assert caplog.records[0].dum_code == 2
    assert [line.levelname for line in caplog.records] == ["WARNING"] * 4 + ["ERROR"] * 2


def test_overhead_of_one_row(table):
    """Needs 20. Shown, not judged: time differs between machines. docs/python.md has the numbers."""
    scorer = make().fit(table[0])
    row = table[0][:1]
    start = time.perf_counter()
    for _ in range(10_000):
        scorer.score(row)
    print(f"one row: {(time.perf_counter() - start) * 100:.2f} microseconds")
