# SPDX-License-Identifier: MIT
"""What a user's program looks like to mypy --strict."""

import numpy as np
import numpy.typing as npt

import dum

x: npt.NDArray[np.float32] = np.zeros((10, 2), dtype=np.float32)
detector: dum.KNN = dum.KNN(neighbours=3, method="mean", contamination=0.1).fit(x)
scores: npt.NDArray[np.float64] = detector.score_samples(x)
scorer: dum.Scorer = dum.Scorer("iforest", trees=50).fit(x, progress=lambda p: p.step > 5)
low: float = dum.auroc(scores, [0, 1] * 5).low
