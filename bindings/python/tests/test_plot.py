# SPDX-License-Identifier: MIT
import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from dum import plot

SCORES = np.array([0.1, 0.2, 0.2, 0.3, 0.9, 0.4])
LABELS = np.array([0, 0, 1, 0, 1, 1])


def test_histogram():
    ax = plot.histogram(SCORES, LABELS, threshold=0.35, bins=10)
    assert sum(patch.get_height() for patch in ax.patches) == 6
    assert "threshold 0.35" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert plot.histogram(SCORES, ax=ax) is ax


def test_roc():
    x, y = plot.roc(SCORES, LABELS).lines[0].get_data()
    np.testing.assert_allclose(np.trapezoid(y, x), 7.5 / 9)


def test_by_class():
    ax = plot.by_class(SCORES, LABELS, names=["usual", "odd"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["usual", "odd"]
    with pytest.raises(ValueError, match="shape"):
        plot.by_class(SCORES, LABELS[:3])
