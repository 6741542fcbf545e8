# SPDX-License-Identifier: MIT
"""What is generated is up to date; what the pages show works; C and Python give the same bits."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import safetensors

import dum
from dum._dum import lib

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
# But those that need rows of an encoder.
KINDS = [kind for kind in dum.scorer_kinds() if kind not in ("gram", "mds", "rotation", "vim")]


def test_classes_are_up_to_date():
    done = subprocess.run(
        [sys.executable, HERE.parent / "tools/kinds.py", "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_function_of_the_header_is_there():
    names = set(
        re.findall(r"\b(dum_\w+)\(", re.sub(r"/\*.*?\*/", "", (ROOT / "include/dum.h").read_text(), flags=re.DOTALL))
    )
    assert len(names) > 60
    assert not [name for name in names if not hasattr(lib, name)]
    statuses = set(re.findall(r"DUM_ERR_\w+ = (-\d+)", (ROOT / "include/dum.h").read_text()))
    assert statuses | {"1"} == {str(kind.status) for kind in dum.Error.__subclasses__()}
    assert dum.__version__ == re.search(r'DUM_VERSION "(.*)"', (ROOT / "include/dum.h").read_text())[1]


@pytest.mark.parametrize("page", ["docs/python.md", "bindings/python/README.md"])
def test_pages(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL))
    assert code
    exec(compile(code, page, "exec"), {})  # noqa: S102


def test_readme(tmp_path):
    """The lines of the library's README, with the library's own table."""
    folder = tmp_path / "readme"
    subprocess.run([sys.executable, ROOT / "tests/install/readme.py", folder], check=True)
    done = subprocess.run([sys.executable, "service.py"], check=True, cwd=folder, capture_output=True, text=True)
    assert re.fullmatch(r"-?[\d.]+ (un)?usual\n", done.stdout)


def test_import_is_light():
    code = "import dum, sys; dum.Scorer('ecod'); assert 'sklearn' not in sys.modules; dum.KNN; dir(dum)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError):
        dum.Nonesuch  # noqa: B018


def test_a_machine_of_many_processors():
    code = "import dum; print(dum.Scorer('ecod')._context.threads)"
    variables = {**os.environ, "OMP_NUM_THREADS": "300"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=variables)
    assert done.stdout == "256\n"


@pytest.mark.parametrize("kind", KINDS)
def test_the_tool_gives_the_same_bits(kind, table, tmp_path):
    tool = os.environ.get("DUM_TOOL")
    if not tool:
        pytest.skip("DUM_TOOL does not say where the tool dum is")
    x = table[0][:200]
    np.save(tmp_path / "x.npy", x)
    options = (
        {"steps": 10} if kind in ("dum", "repen") else {"epochs": 3} if kind in ("autoencoder", "deepsvdd") else {}
    )
    settings = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]

    def run(*words):
        subprocess.run([tool, *map(str, words)], check=True, capture_output=True)

    run("fit", "--scorer", kind, "--data", tmp_path / "x.npy", "--model", tmp_path / "c.dum", *settings)
    run("score", "--data", tmp_path / "x.npy", "--model", tmp_path / "c.dum", "--out", tmp_path / "c.npy")
    scorer = dum.Scorer(kind, **options).fit(x)
    expected = scorer.score(x)
    np.testing.assert_array_equal(np.load(tmp_path / "c.npy"), expected)
    np.testing.assert_array_equal(dum.Scorer.load(tmp_path / "c.dum").score(x), expected)
    scorer.save(tmp_path / "python.dum")
    assert (tmp_path / "python.dum").read_bytes() == (tmp_path / "c.dum").read_bytes()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mlp", {"layers": 1, "units": 8, "embedding": 4, "projection": 4, "batch": 50, "epochs": 2}),
        ("resnet", {"depth": 8, "units": 4, "projection": 8, "batch": 20, "epochs": 1}),
        ("resnet", {"depth": 8, "units": 4, "objective": "supervised", "batch": 20, "epochs": 1}),
    ],
)
def test_the_tool_trains_the_same_encoder(kind, options, table, tmp_path):
    tool = os.environ.get("DUM_TOOL")
    if not tool:
        pytest.skip("DUM_TOOL does not say where the tool dum is")
    rng = np.random.default_rng(0)
    x = table[0][:200] if kind == "mlp" else rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    y = np.arange(len(x)) % 3 if "objective" in options else None
    options = {"seed": 5, **options}
    np.save(tmp_path / "x.npy", x)
    words = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
    if y is not None:
        np.save(tmp_path / "y.npy", y)
        words += ["--labels", tmp_path / "y.npy"]

    def run(*words):
        subprocess.run([tool, *map(str, words)], check=True, capture_output=True)

    run("encoder", tmp_path / "x.npy", "--out", tmp_path / "c.dum", *words)
    encoder = dum.Encoder(kind, **options).fit(x, y)
    encoder.save(tmp_path / "python.dum")
    assert (tmp_path / "python.dum").read_bytes() == (tmp_path / "c.dum").read_bytes()
    for output in ["features", "projection" if y is None else "logits"]:
        expected = encoder.set_params(output=output).transform(x)
        loaded = dum.Encoder.load(tmp_path / "c.dum").set_params(output=output)
        np.testing.assert_array_equal(loaded.transform(x), expected)
        run("embed", tmp_path / "python.dum", tmp_path / "x.npy", "--output", output, "--out", tmp_path / "z.npy")
        np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), expected)

    # Below a scorer, in one file.
    encoder.set_params(output="features")
    scorer = dum.Scorer("ecod", encoder=encoder).fit(x)
    scorer.save(tmp_path / "python.dum")
    run(
        "fit",
        "--scorer",
        "ecod",
        "--encoder",
        tmp_path / "c.dum",
        "--data",
        tmp_path / "x.npy",
        "--model",
        tmp_path / "s",
    )
    assert (tmp_path / "s").read_bytes() == (tmp_path / "python.dum").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_safetensors_opens_models(kind, table, tmp_path):
    options = (
        {"steps": 10} if kind in ("dum", "repen") else {"epochs": 3} if kind in ("autoencoder", "deepsvdd") else {}
    )
    dum.Scorer(kind, **options).fit(table[0][:60]).save(tmp_path / "m.dum")
    with safetensors.safe_open(tmp_path / "m.dum", "numpy") as model:
        assert model.metadata()["dum.kind"] == f"scorer.{kind}"
        for name in model.keys():  # noqa: SIM118
            values = model.get_tensor(name)
            assert values.size > 0 and np.isfinite(values).all()
