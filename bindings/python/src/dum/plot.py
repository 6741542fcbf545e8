# SPDX-License-Identifier: MIT
"""Pictures of scores (needs matplotlib). Scores here are the library's: higher is more anomalous, as
`Scorer.score` and `decision_scores_` have it. Each function draws on `ax`, or on new axes, and returns them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dum._array import doubles, plain
from dum._stats import auroc


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots()[1]


def _classes(scores: Any, labels: Any) -> tuple[Any, Any, Any]:
    s, y = doubles(scores, "scores"), np.asarray(labels)
    if y.shape != s.shape:
        raise ValueError(f"labels have the shape {y.shape}, expected that of the scores, {s.shape}")
    return s, y, np.unique(y)


def histogram(
    scores: Any, labels: Any = None, *, threshold: float | None = None, bins: int = 50, ax: Any = None
) -> Any:
    """How many rows have which score, by label where there are labels, with the threshold."""
    ax = _axes(ax)
    s, y, classes = _classes(scores, np.zeros(len(scores)) if labels is None else labels)
    edges = np.histogram_bin_edges(s[np.isfinite(s)], bins=bins)
    for c in classes:
        ax.hist(s[y == c], bins=edges, alpha=0.6, label=None if labels is None else str(c))
    if threshold is not None:
        ax.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.4g}")
    if labels is not None or threshold is not None:
        ax.legend()
    ax.set_xlabel("score (higher: more anomalous)")
    ax.set_ylabel("rows")
    return ax


def roc(scores: Any, labels: Any, *, ax: Any = None) -> Any:
    """The ROC curve; labels are 1 for anomalous rows, 0 for others."""
    area = auroc(scores, labels)
    ax = _axes(ax)
    s, y, _ = _classes(scores, labels)
    order = np.argsort(-s, kind="stable")
    s, y = s[order], y[order]
    last = np.append(np.flatnonzero(np.diff(s)), s.size - 1)  # rows of equal score are one step
    found, false = np.cumsum(y)[last], np.cumsum(1 - y)[last]
    ax.plot(
        np.append(0, false / false[-1]),
        np.append(0, found / found[-1]),
        label=f"AUROC {area.value:.3f} ({area.low:.3f} to {area.high:.3f})",
    )
    ax.plot([0, 1], [0, 1], color="grey", linestyle=":")
    ax.set_xlabel("false-positive rate")
    ax.set_ylabel("true-positive rate")
    ax.legend(loc="lower right")
    return ax


def by_class(scores: Any, labels: Any, *, names: Sequence[str] | None = None, ax: Any = None) -> Any:
    """The scores of each class, as boxes: with `DUM` the score is the log of the predicted variance."""
    ax = _axes(ax)
    s, y, classes = _classes(scores, labels)
    ax.boxplot([s[y == c] for c in classes], showfliers=False)
    ax.set_xticks(range(1, len(classes) + 1), names if names is not None else [str(c) for c in classes])
    ax.set_ylabel("score (higher: more anomalous)")
    return ax


def contact_sheet(images: Any, scores: Any, *, count: int = 8, ax: Any = None) -> Any:
    """The images of the lowest scores (most certain, upper row) and of the highest (least certain, lower row), `count` of
    each, the extreme ones first. images x height x width x channels, values 0 to 255."""
    x, s = np.asarray(plain(images)), doubles(scores, "scores")
    if x.ndim != 4 or x.shape[3] not in (1, 3) or len(x) != len(s):
        raise ValueError(f"images have the shape {x.shape}, expected {len(s)} x height x width x 1 or 3 channels")
    order = np.argsort(s, kind="stable")
    count = min(count, len(s))
    height, width = x.shape[1:3]
    gap = max(1, width // 16)
    sheet = np.full((2 * height + 3 * gap, count * (width + gap) + gap, x.shape[3]), 255, dtype=np.uint8)
    for below, rows in enumerate((order[:count], order[::-1][:count])):
        for beside, row in enumerate(rows):
            top, left = gap + below * (height + gap), gap + beside * (width + gap)
            sheet[top : top + height, left : left + width] = np.clip(np.rint(x[row]), 0, 255)
    ax = _axes(ax)
    ax.imshow(sheet.squeeze(2) if x.shape[3] == 1 else sheet, cmap="gray", vmin=0, vmax=255)
    ax.set_xticks([])
    ax.set_yticks([gap + height / 2, 2 * gap + 1.5 * height], ["most certain", "least certain"])
    return ax
