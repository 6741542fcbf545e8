# SPDX-License-Identifier: MIT
"""Encoders: images and tables, callables, weights, files, below scorers and detectors."""

import os
import pickle
import signal
import threading
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import dum

# But those that stand on other outputs than features.
APART = ("energy", "gram", "mds", "msp", "rotation", "uncertainty", "vim")
KINDS = [kind for kind in dum.scorer_kinds() if kind not in APART]
TINY = {"depth": 8, "units": 4, "projection": 8, "batch": 24, "epochs": 1}


def twice(x):
    return 2 * x[:, :2]


@pytest.fixture(scope="module")
def images():
    """Stripes along one of three directions, as uint8, and the direction's name."""
    rng = np.random.default_rng(0)
    direction = np.arange(72) % 3
    y, x = np.mgrid[:8, :8]
    along = np.stack([x, y, x + y])[direction]
    wave = np.sin(1.6 * along + rng.uniform(0, 6.28, (72, 1, 1)))[..., None]
    pixels = 127 + 70 * wave + 10 * rng.normal(size=(72, 8, 8, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8), np.array(["across", "down", "slanted"])[direction]


@pytest.fixture(scope="module")
def encoder(images):
    return dum.Encoder("resnet", **TINY).fit(images[0])


# ---- Images ----


def test_images_need_no_flattening(images, encoder):
    x = images[0]
    z = encoder.transform(x)
    assert z.shape == (72, encoder.embedding_cols) == (72, 16)
    assert z.dtype == np.float32
    assert encoder.n_features_in_ == 192
    assert encoder.height == 32  # a parameter is not what fit found
    flat = x.reshape(72, -1)
    for same in (flat, flat.astype(np.float32), x.astype(np.float64), dum.Dataset(x), pd.DataFrame(flat), list(flat)):
        np.testing.assert_array_equal(encoder.transform(same), z)
    np.testing.assert_array_equal(dum.Encoder("resnet", height=8, width=8, **TINY).fit(flat).transform(x), z)
    assert dum.Encoder("resnet", **TINY).fit(x[..., :1]).n_features_in_ == 64
    with pytest.raises(ValueError, match="height, width, channels"):
        encoder.transform(x.transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match="channels"):
        dum.Encoder("resnet", **TINY).fit(x.transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match="features"):
        encoder.transform(flat[:, :-1])
    with pytest.raises(ValueError, match="row 3, column 5 is 300"):
        bad = flat.astype(np.float32)
        bad[3, 5] = 300
        encoder.transform(bad)


def test_images_without_channels_are_refused(images, encoder):
    for grey in (images[0][..., 0], images[0][0]):
        for use in (encoder.transform, dum.Encoder("resnet").fit, dum.KNN(encoder=encoder).fit, dum.Dataset):
            with pytest.raises(ValueError, match=r"grey images: x\[\.\.\., None\]"):
                use(grey)


def test_bytes_are_not_copied(images):
    x = images[0]
    for view in (x, x[::2], x[::-1][::-1], x.reshape(72, -1)[:, :100]):
        data = dum.Dataset(view)
        assert np.shares_memory(data._keep[1], x)
        np.testing.assert_array_equal(data.read(1, 3), view[1:4].reshape(3, -1))
    many = np.zeros((20_000, 16, 16, 3), dtype=np.uint8)
    identity = dum.Encoder("identity").fit(many[:2])
    tracemalloc.start()
    scores = dum.Scorer("hbos").fit(many[:100]).score(many)
    detector = dum.HBOS(encoder=dum.Encoder.from_callable(twice, 768, 2)).fit(many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < many.nbytes / 4, f"{peak / 1e6:.1f} MB beside {many.nbytes / 1e6:.1f} MB of images"
    assert len(scores) == len(detector.labels_) == 20_000
    assert identity.transform(many[:3]).shape == (3, 768)


def test_image_functions(images):
    x = images[0]
    view = dum.images.augment(x, seed=1)
    assert (view.shape, view.dtype) == (x.shape, np.float32)
    np.testing.assert_array_equal(dum.images.augment(x[:5], seed=1), view[:5])
    assert not np.array_equal(dum.images.augment(x, seed=1, view=1), view)
    never = dum.images.augment(x, crop_min=1, flip=-1, jitter=-1, grey=-1)
    np.testing.assert_allclose(never, x, atol=1e-3)
    assert len(dum.images.corruptions()) == 15
    large = x[:3].repeat(4, axis=1).repeat(4, axis=2)
    for name in dum.images.corruptions():
        made = dum.images.corrupt(large, name, 3, seed=2)
        assert made.shape == large.shape
        assert 0 <= made.min() <= made.max() <= 255
        assert not np.array_equal(made, large)
    with pytest.raises(dum.ArgumentError, match="gaussian_noise"):
        dum.images.corrupt(x, "dust")
    with pytest.raises(dum.ArgumentError, match="severity"):
        dum.images.corrupt(x, "fog", 6)
    with pytest.raises(ValueError, match="dimension"):
        dum.images.augment(x[0])


# ---- Training ----


class OfMine(dum.Encoder):
    def __init__(self, units=8):
        super().__init__("mlp", units=units, epochs=1)


def test_a_class_with_defaults_of_its_own(table):
    encoder = OfMine().fit(table[0])
    assert (encoder._model.options["units"], encoder._model.options["epochs"]) == (8, 1)
    assert OfMine().fit(table[0], warm_start=True).embedding_cols == 128


def test_supervised(images):
    x, y = images
    encoder = dum.Encoder("resnet", objective="supervised", crop_min=0.7, **{**TINY, "epochs": 25, "batch": 18})
    encoder.fit(x[:54], y[:54])
    assert list(encoder.classes_) == ["across", "down", "slanted"]
    assert encoder.knn_accuracy(x[:54], y[:54], x[54:], y[54:], neighbours=5) > 0.6
    assert encoder.linear_accuracy(x[:54], y[:54], x[54:], y[54:]) > 0.6
    encoder.set_params(output="logits")
    logits = encoder.transform(x)
    assert logits.shape == (72, 3)
    assert np.mean(encoder.classes_[logits.argmax(1)] == y) > 0.6
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).classes_, encoder.classes_)
    with pytest.raises(ValueError, match="none of the 3 classes"):
        encoder.fit(x, ["up"] * 72, warm_start=True)
    with pytest.raises(dum.ArgumentError, match="labels"):
        clone(encoder).fit(x)
    with pytest.raises(ValueError, match="labels"):
        clone(encoder).fit(x, y[:3])
    with pytest.raises(ValueError, match="3 labels"):
        encoder.knn_accuracy(x, y[:3], x, y)


def test_warm_start_and_checkpoints(images):
    x = images[0]
    options = {**TINY, "epochs": 3}
    whole = dum.Encoder("resnet", **options).fit(x)
    kept, seen = [], []

    def stop(p):
        seen.append(p)
        return p.epoch > 1

    part = dum.Encoder("resnet", **options).fit(x, progress=stop, checkpoint=kept.append)
    assert seen[-1].steps == 9
    assert not np.array_equal(part.transform(x), whole.transform(x))
    resumed = dum.Encoder("resnet", **options).fit(x, resume_from=kept[-1])
    np.testing.assert_array_equal(resumed.transform(x), whole.transform(x))
    before = whole.transform(x)
    more = pickle.loads(pickle.dumps(whole)).set_params(rate=0.01).fit(x, warm_start=True)
    assert not np.array_equal(more.transform(x), before)
    with pytest.raises(dum.StateError, match="units"):
        whole.set_params(units=8).fit(x, warm_start=True)
    np.testing.assert_array_equal(whole.transform(x), before)


def test_progress_bar(images, capsys):
    pytest.importorskip("tqdm")
    dum.Encoder("resnet", **TINY).fit(images[0], progress=True)
    assert "3/3" in capsys.readouterr().err


def test_ctrl_c_stops_a_fit(images, request):
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, handler))
    encoder = dum.Encoder("resnet", **{**TINY, "epochs": 10**6})
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        encoder.fit(images[0], max_seconds=60)
    assert time.monotonic() - start < 20
    assert np.isfinite(encoder.transform(images[0])).all()


def test_the_gil_is_released(images):
    encoder = dum.Encoder("resnet", **{**TINY, "epochs": 10**6})
    worker = threading.Thread(target=lambda: encoder.fit(images[0], max_seconds=1))
    worker.start()
    turns = 0
    while worker.is_alive():
        turns += 1
        time.sleep(0.001)
    assert turns > 50


def test_a_failed_fit_leaves_the_encoder(images, encoder):
    expected = encoder.transform(images[0])
    with pytest.raises(dum.Error):
        encoder.fit(np.full((10, 8, 8, 3), np.nan), warm_start=True)
    np.testing.assert_array_equal(encoder.transform(images[0]), expected)
    with pytest.raises(NotFittedError):
        dum.Encoder("resnet").transform(images[0])
    with pytest.raises(NotFittedError):
        dum.KNN(encoder=dum.Encoder("resnet")).fit(images[0])
    for no_encoder in (twice, "resnet"):
        with pytest.raises(TypeError, match="expected a dum.Encoder"):
            dum.KNN(encoder=no_encoder).fit(images[0].reshape(72, -1))
        with pytest.raises(TypeError, match="expected a dum.Encoder"):
            dum.Scorer("knn", encoder=no_encoder)
    with pytest.raises(dum.ArgumentError, match="expected identity, mlp or resnet"):
        dum.Encoder("transformer").fit(images[0])


# ---- Files ----


def test_files(images, encoder, tmp_path):
    x = images[0]
    z = encoder.transform(x)
    encoder.save(tmp_path / "encoder")
    assert dum.inspect_model(tmp_path / "encoder").kind == "encoder"
    for other in (
        dum.Encoder.load(tmp_path / "encoder"),
        dum.Encoder.from_bytes(encoder.to_bytes()),
        pickle.loads(pickle.dumps(encoder)),
    ):
        np.testing.assert_array_equal(other.transform(x), z)
        assert other.depth == 8
        assert other.n_features_in_ == 192
        np.testing.assert_array_equal(clone(other).fit(x).transform(x), z)
    with pytest.raises(dum.FormatError):
        dum.Scorer.load(tmp_path / "encoder")
    assert not hasattr(pickle.loads(pickle.dumps(dum.Encoder("mlp"))), "_model")


def test_weights(images, encoder, tmp_path):
    x = images[0]
    encoder.export_weights(tmp_path / "w.safetensors")
    weights = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    assert weights["conv1.weight"].shape == (4, 3, 3, 3)
    other = dum.Encoder("resnet", height=8, width=8, **TINY).import_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other.transform(x), encoder.transform(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(dum.FormatError, match="mis-shaped"):
            dum.Encoder("resnet", height=8, width=8, **{**TINY, "units": 8}).import_weights(tmp_path / "w.safetensors")
    with pytest.raises(NotImplementedError):
        dum.Encoder("mlp").import_weights(tmp_path / "w.safetensors")


# ---- Callables ----


def test_callable(table):
    x = table[0]
    encoder = dum.Encoder.from_callable(twice, 30, 2)
    np.testing.assert_array_equal(encoder.fit(x).transform(x), 2 * x[:, :2])
    assert (encoder.n_features_in_, encoder.embedding_cols) == (30, 2)
    scorer = dum.Scorer("knn", encoder=encoder).fit(x)
    expected = dum.Scorer("knn").fit(2 * x[:, :2]).score(2 * x[:, :2])
    np.testing.assert_array_equal(scorer.score(x), expected)
    padded = np.zeros((len(x), 33), dtype=np.float32)
    padded[:, :30] = x
    np.testing.assert_array_equal(scorer.score(padded[:, :30]), expected)
    for other in (
        pickle.loads(pickle.dumps(scorer)),
        dum.Scorer.from_bytes(scorer.to_bytes(), encoder),
        dum.Scorer.from_bytes(scorer.to_bytes(), encoder).fit(x),
        pickle.loads(pickle.dumps(dum.Scorer("knn", encoder=encoder))).fit(x),
    ):
        np.testing.assert_array_equal(other.score(x), expected)
    lacking = dum.Scorer.from_bytes(scorer.to_bytes())
    with pytest.raises(dum.StateError, match="host: give it with Scorer.load"):
        lacking.score(x)
    with pytest.raises(NotImplementedError):
        encoder.to_bytes()
    with pytest.raises(NotImplementedError):
        scorer.explain(x)
    with pytest.raises(ValueError, match="features"):
        encoder.transform(x[:, :5])
    with pytest.raises(dum.ShapeError):
        dum.Encoder.from_callable(twice, 0, 2).transform(x)
    assert encoder.set_params(n_features=5).transform(x[:, :5]).shape == (len(x), 2)


def test_an_exception_in_a_callable_comes_back(table):
    x = table[0]

    def moody(rows):
        if len(rows) < 4:
            raise LookupError("no model today")
        return rows[:, :2]

    detector = dum.KNN(encoder=dum.Encoder.from_callable(moody, 30, 2)).fit(x)
    scorer = detector.scorer_
    for fails in (
        lambda: detector.score_samples(x[:3]),
        lambda: scorer.score(x[:3]),
        lambda: scorer.score(pd.DataFrame(x[:3])),
    ):
        with pytest.raises(LookupError, match="no model today"):
            fails()
    assert len(scorer.score(x)) == len(x)  # nothing is left over
    with pytest.raises(ValueError, match="shape"):
        dum.KNN(encoder=dum.Encoder.from_callable(lambda rows: rows, 30, 2)).fit(x)


def test_torch(table):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(30, 4)

    def embed(rows):
        with torch.inference_mode():
            return layer(torch.from_numpy(rows))

    x = table[0]
    encoder = dum.Encoder.from_callable(embed, 30, 4)
    expected = embed(x).numpy()
    np.testing.assert_allclose(encoder.transform(x), expected, rtol=1e-5, atol=1e-4)
    assert np.isfinite(dum.KNN(encoder=encoder).fit(x).score_samples(x)).all()


# ---- Below scorers and detectors ----


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_stands_on_an_encoder(kind, images, encoder):
    quick = {
        "dum": {"steps": 5, "width": 8},
        "autoencoder": {"epochs": 2},
        "deepsvdd": {"epochs": 2},
        "repen": {"steps": 5},
    }
    x, options = images[0], quick.get(kind, {})
    scores = dum.Scorer(kind, encoder=encoder, **options).fit(x).score(x)
    z = encoder.transform(x)
    np.testing.assert_array_equal(scores, dum.Scorer(kind, **options).fit(z).score(z))


def test_scorers_of_classes(images):
    x, y = images
    encoder = dum.Encoder("resnet", objective="supervised", **TINY).fit(x, y)
    labels = np.searchsorted(encoder.classes_, y)
    scores = dum.Scorer("mds", encoder=encoder).fit(x, labels=labels).score(x)
    assert np.isfinite(scores).all()
    with pytest.raises(ValueError, match="labels have the shape"):
        dum.Scorer("mds", encoder=encoder).fit(x, labels=labels[1:])
    for bad in (labels + 0.5, labels + 2**32, labels * np.nan, labels.astype(str)):
        with pytest.raises(ValueError, match="whole numbers"):
            dum.Scorer("mds", encoder=encoder).fit(x, labels=bad)
    with pytest.raises(dum.ArgumentError, match="features"):
        dum.Scorer("msp", encoder=encoder).fit(x)
    logits = dum.Scorer("msp", encoder=encoder.set_params(output="logits")).fit(x).score(x)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize(
    ("name", "kind", "output"),
    [
        ("ClassMahalanobis", "mds", "features"),
        ("Energy", "energy", "logits"),
        ("GramMatrices", "gram", "gram-all"),
        ("MaxSoftmax", "msp", "logits"),
        ("ResidualFlow", "flow", "features"),
        ("RotationPrediction", "rotation", "rotation"),
        ("TemperatureUncertainty", "uncertainty", "uncertainty"),
        ("ViM", "vim", "joint"),
    ],
)
def test_detectors_of_outputs(images, name, kind, output):
    """They take the output that they need, and leave the encoder as it is."""
    x, y = images
    how = {"uncertainty": "on"} if output == "uncertainty" else {"objective": "supervised", "rotation": "on"}
    encoder = dum.Encoder("resnet", **TINY, **how).fit(x, y)
    classes = kind in ("mds", "flow")
    detector = getattr(dum, name)(encoder=encoder).fit(x, y)
    scorer = dum.Scorer(kind, encoder=pickle.loads(pickle.dumps(encoder)).set_params(output=output))
    scorer.fit(x, labels=np.searchsorted(encoder.classes_, y) if classes else None)
    np.testing.assert_array_equal(detector.decision_scores_, scorer.score(x))
    np.testing.assert_array_equal(detector.score_samples(x), -detector.decision_scores_)
    assert encoder.output == detector.encoder.output == "features"
    for other in (pickle.loads(pickle.dumps(detector)), clone(detector).fit(x, y)):
        np.testing.assert_array_equal(other.score_samples(x), -detector.decision_scores_)
    np.testing.assert_array_equal(clone(detector).fit_predict(x, y), detector.predict(x))
    if output == "logits":
        odin = getattr(dum, name)(encoder=encoder.set_params(output="odin")).fit(x)
        assert not np.array_equal(odin.decision_scores_, detector.decision_scores_)
    if output == "uncertainty":
        lacks = dum.Encoder("resnet", **TINY).fit(x)
        with pytest.raises(NotImplementedError, match="output is uncertainty"):
            getattr(dum, name)(encoder=lacks).fit(x)


def test_detectors_of_classes(images):
    x, y = images[0].reshape(72, -1)[:, :10], images[1]
    for detector, kind in ((dum.ClassMahalanobis(), "mds"), (dum.ResidualFlow(epochs=2), "flow")):
        options = {"epochs": 2} if kind == "flow" else {}
        alone = dum.Scorer(kind, **options).fit(x, labels=np.zeros(72))
        np.testing.assert_array_equal(detector.fit(x).decision_scores_, alone.score(x))
        by_class = detector.fit(x, y).decision_scores_
        assert not np.array_equal(by_class, alone.score(x))
        np.testing.assert_array_equal(detector.fit(x, np.unique(y, return_inverse=True)[1]).decision_scores_, by_class)
        with pytest.raises(ValueError, match="labels have the shape"):
            detector.fit(x, y[1:])


def test_detector(images, encoder):
    x = images[0]
    detector = dum.KNN(encoder=encoder).fit(x)
    expected = detector.score_samples(x)
    z = encoder.transform(x)
    np.testing.assert_array_equal(dum.KNN().fit(z).score_samples(z), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(detector)).score_samples(x), expected)
    np.testing.assert_array_equal(clone(detector).fit(x).score_samples(x), expected)
    loaded = dum.Scorer.from_bytes(detector.scorer_.to_bytes())  # the encoder is in the file
    np.testing.assert_array_equal(-loaded.score(x), expected)
    np.testing.assert_array_equal(-loaded.fit(x).score(x), expected)
    with pytest.raises(ValueError, match="height, width, channels"):
        detector.score_samples(x.transpose(0, 3, 1, 2))
    search = GridSearchCV(detector, {"encoder__output": ["features", "projection"]}, scoring=lambda m, *_: 0.0, cv=2)
    assert search.fit(x.reshape(72, -1)).best_params_ == {"encoder__output": "features"}
    assert encoder.output == "features"


def test_a_scorer_keeps_its_encoder(images, encoder):
    x = images[0]
    mine = pickle.loads(pickle.dumps(encoder))
    scorer = dum.Scorer("knn", encoder=mine).fit(x)
    expected = scorer.score(x)
    mine.set_params(output="map").transform(x)
    mine.fit(x[::2])
    np.testing.assert_array_equal(scorer.score(x), expected)
    np.testing.assert_array_equal(scorer.fit(x).score(x), expected)
    del mine
    np.testing.assert_array_equal(scorer.score(x), expected)


def test_pipeline(table):
    x = table[0]
    encoder = dum.Encoder("mlp", layers=1, units=8, embedding=4, projection=4, epochs=2)
    pipeline = make_pipeline(encoder, dum.KNN()).fit(x)
    again = clone(pipeline).fit(x)
    np.testing.assert_array_equal(pipeline.score_samples(x), again.score_samples(x))
    frame = pipeline[0].set_output(transform="pandas").transform(x[:3])
    assert list(frame.columns) == [f"encoder{i}" for i in range(4)]


def test_messages_name_the_row():
    x = np.ones((3000, 5), dtype=np.float32)
    encoder = dum.Encoder("mlp", layers=1, units=4, embedding=3, epochs=1).fit(x[:100])
    scorer = dum.Scorer("ecod", encoder=encoder).fit(x[:100])
    x[2100, 3] = np.nan
    for fails in (lambda: encoder.transform(x), lambda: encoder.transform(dum.Dataset(x)), lambda: scorer.score(x)):
        with pytest.raises(dum.NonfiniteError, match="row 2100, column 3 is NaN"):
            fails()


def test_threads(images, encoder):
    x = images[0]
    expected = encoder.transform(x)
    with ThreadPoolExecutor(4) as pool:
        for z in pool.map(lambda _: encoder.transform(x), range(20)):
            np.testing.assert_array_equal(z, expected)
        for scorer in pool.map(lambda _: dum.Scorer("ecod", encoder=encoder).fit(x), range(8)):
            assert len(scorer.score(x)) == 72
