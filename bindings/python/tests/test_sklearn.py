# SPDX-License-Identifier: MIT
"""scikit-learn's own checks of every detector, and of the encoders that take tables."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import dum
from dum import _kinds

# The checks have few rows, and equal ones: a score of such can be constant.
pytestmark = pytest.mark.filterwarnings("ignore::dum.DumWarning")

# A check fits some sixty times: not the seconds of training that are the default.
QUICK = {
    "DUM": {"steps": 30, "width": 16, "layers": 1},
    "AutoEncoder": {"epochs": 10},
    "DeepSVDD": {"epochs": 10},
    "REPEN": {"steps": 20},
    "ResidualFlow": {"epochs": 2},
    "GramMatrices": {"classes": 1},
    "ViM": {"classes": 1},
}
# RotationPrediction: rows have 17 columns or more.
OTHERS = ("Detector", "Encoder", "CallableEncoder", "RotationPrediction")
CLASSES = [getattr(dum, name) for name in _kinds.__all__ if name not in OTHERS]
ENCODERS = [dum.Encoder("mlp", epochs=2, layers=1, units=4, embedding=3, projection=4), dum.Encoder("identity")]


def cannot(estimator):
    """What kinds cannot do that stand on an encoder's output."""
    one = {"check_fit2d_1feature": "a row is features, then at least one logit"}
    many = "rows within all ranges score 0: of such ties no share is exact"
    return {
        "GramMatrices": one | {"check_outliers_train": many, "check_outliers_fit_predict": many},
        "ViM": one,
    }.get(type(estimator).__name__, {})


@parametrize_with_checks(
    [c(**QUICK.get(c.__name__, {})) for c in CLASSES] + ENCODERS, expected_failed_checks=cannot, xfail_strict=True
)
def test_estimator(estimator, check):
    check(estimator)
