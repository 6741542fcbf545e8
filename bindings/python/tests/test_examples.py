# SPDX-License-Identifier: MIT
"""The programs of examples/, each run as its user does."""

import itertools
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import dum

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
WDBC = pathlib.Path(__file__).parents[3] / "examples/data/wdbc.csv"


def run(program, *arguments, limit=None, **variables):
    """What it prints. `limit`: bytes of memory, its threads' stacks included."""

    def ceiling():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    # The debug allocator is for the binding's own tests: it makes these slow.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONMALLOC"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / program, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        env=inherited | variables,
        preexec_fn=ceiling,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_notebook(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    shown = run("notebook.py", WDBC, tmp_path, limit=1 << 30, MPLBACKEND="Agg", OMP_NUM_THREADS="2")
    assert "sklearn IsolationForest" in shown and "false alarms" in shown
    assert (tmp_path / "scores.png").stat().st_size > 10000


@pytest.fixture(scope="module")
def ray_data():
    pytest.importorskip("ray", reason="Ray is not installed")
    return pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")


def write(parquet, folder, table, files):
    """Unequal files, one of them of several row groups."""
    folder.mkdir()
    cuts = [0, *sorted(np.random.default_rng(0).choice(len(table), files - 1, replace=False)), len(table)]
    for i, (first, last) in enumerate(itertools.pairwise(cuts)):
        parquet.write_table(table.slice(first, last - first), folder / f"{i}.parquet", row_group_size=2000)


def test_parquet(ray_data, tmp_path):
    """Every row leaves once, with its own score, bitwise that of one process."""
    pa, parquet = ray_data
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20000, 16)).astype(np.float32)
    identity = rng.permutation(len(x))
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 16)
    write(parquet, tmp_path / "rows", pa.table({"id": identity, "embedding": embedding}), 5)
    scorer = dum.Scorer("dum", holdout=0.2, seed=1, steps=20, width=32).fit(x[:1000])
    scorer.save(tmp_path / "model.dum")

    # Ray writes to the home of whoever runs it, and makes sockets, whose paths must be short, and logs in /tmp.
    with tempfile.TemporaryDirectory(prefix="ray") as short:
        run(
            "score_parquet.py", tmp_path / "model.dum", tmp_path / "rows", tmp_path / "scored", "--batch", 999,
            "--memory", 128, HOME=short, RAY_TMPDIR=short,
        )  # fmt: skip
    scored = parquet.read_table(tmp_path / "scored")
    assert scored.column_names == ["id", "embedding", "score", "p_value"]
    order = np.argsort(identity)
    scored = scored.sort_by("id")
    np.testing.assert_array_equal(scored["id"], np.arange(len(x)))
    np.testing.assert_array_equal(scored["score"], scorer.score(x)[order])
    np.testing.assert_array_equal(scored["p_value"], scorer.pvalue(scorer.score(x))[order])


def test_parquet_columns(ray_data, monkeypatch):
    """Models of named columns, and rows that do not fit: without Ray's processes."""
    pa, _ = ray_data
    pd = pytest.importorskip("pandas")
    monkeypatch.syspath_prepend(EXAMPLES)
    from score_parquet import Score

    x = np.random.default_rng(2).normal(size=(100, 3)).astype(np.float32)
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    scorer = dum.Scorer("knn").fit(frame)
    table = pa.table({"c": x[:, 2], "b": x[:, 1], "name": ["?"] * 100, "a": x[:, 0]})
    scored = Score(scorer.to_bytes(), "embedding")(table)
    assert scored.column_names == [*table.column_names, "score"]
    np.testing.assert_array_equal(scored["score"], scorer.score(frame))

    score = Score(dum.Scorer("knn").fit(x).to_bytes(), "z")
    np.testing.assert_array_equal(score(pa.table({"z": list(x)}))["score"], scorer.score(frame))
    for lists in ([[1.0, 2.0], [3.0, 4.0, 5.0, 6.0]], [[1.0, 2.0, 3.0], None]):
        with pytest.raises(ValueError, match="list of 3 numbers"):
            score(pa.table({"z": pa.array(lists, pa.list_(pa.float32()))}))
    with pytest.raises(ValueError, match="row 1"):
        score(pa.table({"z": [[1.0, 2.0, 3.0], [1.0, float("nan"), 3.0]]}))
