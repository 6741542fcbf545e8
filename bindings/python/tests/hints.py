# SPDX-License-Identifier: MIT
"""What a user's program looks like to mypy --strict."""

import numpy as np
import numpy.typing as npt

import dum

x: npt.NDArray[np.float32] = np.zeros((10, 2), dtype=np.float32)
detector: dum.KNN = dum.KNN(neighbours=3, method="mean", contamination=0.1).fit(x)
scores: npt.NDArray[np.float64] = detector.score_samples(x)
scorer: dum.Scorer = dum.Scorer("iforest", trees=50).fit(x, progress=lambda p: p.step > 5)
encoder: dum.Encoder = dum.Encoder("mlp", units=4, epochs=1).fit(x)
embeddings: npt.NDArray[np.float32] = encoder.transform(x)
on_encoder: dum.KNN = dum.KNN(encoder=dum.Encoder.from_callable(lambda rows: rows[:, :1], 2, 1)).fit(x)
foggy: npt.NDArray[np.float32] = dum.images.corrupt(np.zeros((2, 8, 8, 3), dtype=np.uint8), "fog", 3)
low: float = dum.auroc(scores, [0, 1] * 5).low
with dum.Monitor(test="ks", window=50, false_alarms=100).fit_scores(scores) as monitor:
    alarm: bool = monitor.push_rows(scorer, x)
    row: int | None = monitor.read().alarm_row
    top: list[dum.TopRow] = monitor.top()
