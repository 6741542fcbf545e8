# SPDX-License-Identifier: MIT
"""The detector classes: the two sets of conventions, and scikit-learn's tools."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.ensemble
import sklearn.svm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dum
from dum import _kinds

NAMES = [name for name in _kinds.__all__ if name not in ("Detector", "Encoder", "CallableEncoder")]


@pytest.fixture(scope="module")
def fitted(table):
    return dum.IsolationForest(contamination=0.1, seed=3).fit(table[0])


def test_scikit_learns_sign_and_pyods(fitted, table):  # needs 5 and 41
    x, malignant = table
    decision = fitted.decision_function(x)
    np.testing.assert_array_equal(fitted.score_samples(x), -fitted.decision_scores_)
    np.testing.assert_array_equal(decision, fitted.score_samples(x) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(x) == -1, decision < 0)
    np.testing.assert_array_equal(fitted.predict(x) == -1, fitted.labels_ == 1)
    np.testing.assert_array_equal(fitted.labels_ == 1, fitted.decision_scores_ > fitted.threshold_)
    assert fitted.threshold_ == -fitted.offset_
    assert fitted.labels_.sum() == 57
    assert set(fitted.fit_predict(x)) == {-1, 1}
    assert dum.auroc(fitted.decision_scores_, malignant).value > 0.6
    assert not hasattr(fitted, "predict_proba")


def test_the_border_of_a_kind(table):
    x = StandardScaler().fit_transform(table[0])
    ours, theirs = dum.OneClassSVM(nu=0.1).fit(x), sklearn.svm.OneClassSVM(nu=0.1).fit(x)
    np.testing.assert_allclose(ours.decision_function(x), theirs.decision_function(x), atol=0.01)
    apart = np.abs(theirs.decision_function(x)) > 0.01  # not on the edge
    np.testing.assert_array_equal(ours.predict(x)[apart], theirs.predict(x)[apart])
    assert dum.IsolationForest().fit(x).offset_ == -0.5
    assert dum.LOF().fit(x).offset_ == -1.5
    assert dum.ECOD().fit(x).labels_.mean() == pytest.approx(0.1, abs=0.01)
    theirs = sklearn.ensemble.IsolationForest(random_state=0).fit(x)
    assert np.corrcoef(dum.IsolationForest().fit(x).score_samples(x), theirs.score_samples(x))[0, 1] > 0.95


@pytest.mark.parametrize("share", [0, 0.6, -1, "some", None, np.nan])
def test_contamination_is_checked(table, share):
    with pytest.raises(ValueError, match="contamination"):
        dum.ECOD(contamination=share).fit(table[0])


def test_parameters_are_the_library_s(table):
    for name in NAMES:
        cls = getattr(dum, name)
        expected = {p.name: p.default for p in dum.scorer_params(cls._kind)}
        assert cls().get_params() == {**expected, "contamination": "auto", "encoder": None}
    assert dum.Encoder().get_params() == {"kind": "resnet", **{p.name: p.default for p in dum.encoder_params()}}
    detector = dum.KNN(neighbours=3, method="mean")
    assert clone(detector).set_params(neighbours=4).fit(table[0]).scorer_.options["neighbours"] == 4
    with pytest.raises(dum.ArgumentError, match="neighbours"):
        dum.KNN(neighbours=0).fit(table[0])
    paper = dum.DUM(preset="paper", steps=5, width=16).fit(table[0]).scorer_.options
    assert (paper["objective"], paper["steps"]) == ("poe", 5)


class OfMine(dum.KNN):
    def __init__(self, neighbours=9):
        super().__init__(neighbours=neighbours, scaling="zscore")


def test_a_class_with_defaults_of_its_own(table):
    detector = OfMine().fit(table[0])
    assert (detector.scorer_.options["neighbours"], detector.scorer_.options["scaling"]) == (9, "zscore")


def test_frames(table):  # needs 40
    frame = pd.DataFrame(table[0].astype(np.float64)).add_prefix("c")
    detector = dum.ECOD().fit(frame)
    assert list(detector.feature_names_in_) == list(frame.columns)
    assert detector.n_features_in_ == 30
    assert detector.scorer_.names == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        detector.predict(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="feature names"):
        detector.predict(table[0])


def test_refusals(table):
    bad = table[0].astype(np.float64)
    bad[7, 3] = np.nan
    with pytest.raises(ValueError, match="row 7, column 3 \\(from 0\\) is NaN"):
        dum.KNN().fit(bad)
    bad[7, 3] = 1e300
    with pytest.raises(ValueError, match="row 7, column 3 is 1e\\+300"):
        dum.KNN().fit(bad)
    with pytest.raises(TypeError, match="masked"):
        dum.KNN().fit(np.ma.masked_invalid(bad))
    with pytest.raises(TypeError, match="Dataset is for dum.Scorer"):
        dum.KNN().fit(dum.Dataset(table[0]))
    with pytest.raises(NotFittedError):
        dum.KNN().predict(bad)
    bad[7, 3] = np.nan
    impute = dum.DUM(nonfinite="impute", steps=5).fit(bad)
    assert np.isfinite(impute.score_samples(bad)).all()


@pytest.mark.parametrize("name", NAMES)
def test_pickle(table, name):
    x = table[0][:100]
    quick = {"DUM": {"steps": 5}, "AutoEncoder": {"epochs": 5}, "DeepSVDD": {"epochs": 5}, "REPEN": {"steps": 5}}
    quick |= {"GramMatrices": {"classes": 2}, "ViM": {"classes": 2}}
    detector = getattr(dum, name)(**quick.get(name, {})).fit(x)
    other = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(other.decision_function(x), detector.decision_function(x))
    np.testing.assert_array_equal(other.labels_, detector.labels_)


def score(detector, x, labels):
    return dum.auroc(-detector.score_samples(x), labels).value


def test_pipeline_and_grid_search(table):
    x, malignant = table
    search = GridSearchCV(make_pipeline(StandardScaler(), dum.KNN()), {"knn__neighbours": [2, 10]}, scoring=score, cv=3)
    search.fit(x, malignant)
    assert search.best_score_ > 0.7
    assert set(search.best_estimator_.predict(x)) == {-1, 1}


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib(fitted, table, backend):
    parts = np.array_split(table[0], 4)
    scores = joblib.Parallel(2, backend=backend)(joblib.delayed(fitted.score_samples)(part) for part in parts)
    np.testing.assert_array_equal(np.concatenate(scores), fitted.score_samples(table[0]))
