# SPDX-License-Identifier: MIT
"""scikit-learn's own checks of every detector."""

import dum
import dum._kinds
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

# The default training of 800 steps would take an hour here.
QUICK = {"DUM": {"steps": 30, "width": 16, "layers": 1}}
CLASSES = [getattr(dum, name) for name in dum._kinds.__all__ if name != "Detector"]


@parametrize_with_checks([c(**QUICK.get(c.__name__, {})) for c in CLASSES])
def test_estimator(estimator, check):
    check(estimator)
