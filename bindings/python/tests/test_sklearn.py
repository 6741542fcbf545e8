# SPDX-License-Identifier: MIT
"""scikit-learn's own checks of every detector, and of the encoders that take tables."""

from sklearn.utils.estimator_checks import parametrize_with_checks

import dum
from dum import _kinds

# A check fits some sixty times: not the seconds of training that are the default.
QUICK = {
    "DUM": {"steps": 30, "width": 16, "layers": 1},
    "AutoEncoder": {"epochs": 10},
    "DeepSVDD": {"epochs": 10},
    "REPEN": {"steps": 20},
}
CLASSES = [getattr(dum, name) for name in _kinds.__all__ if name not in ("Detector", "Encoder", "CallableEncoder")]
ENCODERS = [dum.Encoder("mlp", epochs=2, layers=1, units=4, embedding=3, projection=4), dum.Encoder("identity")]


@parametrize_with_checks([c(**QUICK.get(c.__name__, {})) for c in CLASSES] + ENCODERS)
def test_estimator(estimator, check):
    check(estimator)
