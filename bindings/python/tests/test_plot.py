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


def test_contact_sheet():
    images = np.stack([np.full((8, 8, 3), 10 * i, dtype=np.uint8) for i in range(6)])
    ax = plot.contact_sheet(images, SCORES, count=2)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (8 * 2 + 3, 2 * 9 + 1, 3)
    # Scores 0.1, 0.2 are the lowest, 0.9 and 0.4 the highest.
    assert [sheet[5, 5, 0], sheet[5, 14, 0], sheet[14, 5, 0], sheet[14, 14, 0]] == [0, 10, 40, 50]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["most certain", "least certain"]
    plot.contact_sheet(images[..., :1].astype(np.float32), SCORES, ax=ax)
    with pytest.raises(ValueError, match="shape"):
        plot.contact_sheet(images, SCORES[:3])
