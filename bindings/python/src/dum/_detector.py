# SPDX-License-Identifier: MIT
"""What every detector class shares: scikit-learn's conventions, with PyOD's names beside them."""

from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d

from dum._array import flat, plain
from dum._dataset import Dataset
from dum._encoder import EncoderBase, checked
from dum._fit import ProgressCallback
from dum._model import Scorer, model_of
from dum._params import scorer_params


class Detector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the detectors: one class for each kind of scorer."""

    _kind: ClassVar[str]
    _border: ClassVar[float | None] = None
    _outputs: ClassVar[tuple[str, ...]] = ()
    _classes: ClassVar[bool] = False
    contamination: float | Literal["auto"]
    encoder: EncoderBase | None

    def fit(self, X: Any, y: Any = None, *, progress: bool | ProgressCallback = False, max_seconds: float = 0) -> Self:
        """Fits to the rows of X. y is ignored, but for ClassMahalanobis and ResidualFlow: the class of each row.
        `progress` and `max_seconds` are those of `Scorer.fit`."""
        share = self.contamination
        if share != "auto" and not (isinstance(share, Real) and 0 < share <= 0.5):
            raise ValueError(f"contamination is {share!r}, expected 'auto' or a share in (0, 0.5]")
        rows = self._rows(X, reset=True)
        labels = None
        if self._classes:
            labels = np.zeros(len(rows)) if y is None else np.unique(column_or_1d(y), return_inverse=True)[1]
        scorer = Scorer(self._kind, encoder=self._below(), **self._options())
        data = Dataset(rows, getattr(self, "feature_names_in_", None))
        try:
            scorer.fit(data, labels=labels, progress=progress, max_seconds=max_seconds)
        finally:  # a fit that was stopped by Ctrl-C leaves what it has
            if scorer.fitted:
                self._keep(scorer, data)
        return self

    def _below(self) -> EncoderBase | None:
        """The encoder, with an output that this kind reads."""
        encoder = self.encoder
        if encoder is None or not self._outputs or getattr(encoder, "output", None) in (None, *self._outputs):
            return encoder
        made: EncoderBase = encoder._twin().set_params(output=self._outputs[0])
        return made

    def fit_predict(self, X: Any, y: Any = None, **more: Any) -> npt.NDArray[np.int_]:
        """fit, then predict, of the same rows."""
        return self.fit(X, y, **more).predict(X)

    def _options(self) -> dict[str, Any]:
        """Those that are not the default: preset sets the others."""
        chosen = {param: getattr(self, param.name) for param in scorer_params(self._kind)}
        return {param.name: value for param, value in chosen.items() if value != param.default}

    def _rows(self, X: Any, reset: bool) -> npt.NDArray[Any]:
        if isinstance(X, Dataset):
            raise TypeError("detectors take arrays; a Dataset is for dum.Scorer and dum.Encoder")
        X = plain(X)
        if self.encoder is not None:
            model_of(self.encoder)
            self.encoder._check_size(X)
            X = flat(X)
        return checked(self, X, reset, 2 if reset else 1)

    def _keep(self, scorer: Scorer, data: Dataset) -> None:
        scores = scorer.score(data)
        if self.contamination != "auto":
            threshold = float(np.percentile(scores, 100 * (1 - self.contamination)))
        else:
            threshold = float(np.percentile(scores, 90)) if self._border is None else self._border
        self.scorer_ = scorer
        self.decision_scores_ = scores
        self.threshold_ = threshold
        self.offset_ = -threshold
        self.labels_ = (scores > threshold).astype(int)

    def _scores(self, X: Any) -> npt.NDArray[np.float64]:
        check_is_fitted(self, "scorer_")
        scorer: Scorer = self.scorer_
        return scorer.score(self._rows(X, reset=False))

    def score_samples(self, X: Any) -> npt.NDArray[np.float64]:
        """Minus the library's score: higher is more normal."""
        return -self._scores(X)

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """score_samples(X) - offset_: below 0 is anomalous."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> npt.NDArray[np.int_]:
        """1 for normal rows, -1 for anomalous ones."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def __sklearn_clone__(self) -> Self:
        # A clone is not fitted, but its encoder is: it is no part of what this detector learns.
        made: Self = super().__sklearn_clone__()
        if isinstance(self.encoder, EncoderBase):
            made.encoder = self.encoder._twin()
        return made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = getattr(self, "nonfinite", "refuse") == "impute"
        return tags
