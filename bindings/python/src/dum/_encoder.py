# SPDX-License-Identifier: MIT
"""What the encoders share: scikit-learn's conventions for what transforms its input."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from dum._array import BYTES, flat, narrow, plain
from dum._context import Path
from dum._dataset import Dataset
from dum._fit import ProgressCallback
from dum._model import EncoderModel
from dum._params import Option, encoder_params

SIZES = ("height", "width", "channels")


def checked(estimator: Any, X: Any, reset: bool, least: int) -> npt.NDArray[Any]:
    """Rows of bytes or float32. Types and shapes are checked here, NaN and infinity by the library, which names row
    and column."""
    rows = validate_data(
        estimator, X, reset=reset, dtype="numeric", order="C", ensure_all_finite=False, ensure_min_samples=least
    )
    return rows if rows.dtype == BYTES else narrow(rows)


def _numbers(y: Any, classes: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Each label's place among the classes."""
    at = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    unknown = y[classes[at] != y]
    if len(unknown):
        raise ValueError(f"label {unknown[0]!r} is none of the {len(classes)} classes that the encoder knows")
    return np.asarray(at, dtype=np.int32)


class EncoderBase(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the encoders: what turns an input into an embedding."""

    kind: str
    n_features_in_: int
    _model: EncoderModel

    @staticmethod
    def from_callable(function: Callable[[Any], Any], n_features: int, n_embedding: int) -> "CallableEncoder":
        """An encoder of your own, such as a PyTorch or ONNX Runtime model: function is given rows x n_features
        float32 (NumPy) and returns rows x n_embedding numbers. It may be called from several threads at once."""
        return CallableEncoder(function, n_features, n_embedding)

    # ---- Training ----

    def _options(self) -> dict[str, Option]:
        chosen = {param: getattr(self, param.name) for param in encoder_params()}
        return {param.name: value for param, value in chosen.items() if value != param.default}

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        progress: bool | ProgressCallback = False,
        max_seconds: float = 0,
        warm_start: bool = False,
        checkpoint_path: Path | None = None,
        checkpoint_epochs: int = 0,
        checkpoint: Callable[[bytes], object] | None = None,
        resume: bool = False,
        resume_from: bytes | None = None,
    ) -> Self:
        """Trains by the objective. X: rows, a Dataset, or images (rows x height x width x channels, 0 to 255; uint8
        is not copied), whose size takes the place of the options height, width and channels. y: of objective
        supervised the class of each row, else ignored. The rest as in `Scorer.fit`."""
        options = self._options()
        if self.kind == "resnet" and getattr(X, "ndim", 0) == 4:
            options |= dict(zip(SIZES, map(int, X.shape[1:]), strict=True))
        data = self._data(X, reset=True, least=2)
        warm = warm_start and self.__sklearn_is_fitted__()
        model = self._model._twin(self._every(options)) if warm else EncoderModel(self.kind, options)
        if self.kind == "identity":
            self._model = model
            return self
        labels = None
        if y is not None and getattr(self, "objective", "") == "supervised":
            labels, classes = self._labels(y, warm)
        before = model._handle
        try:
            model.train(
                data,
                labels,
                warm_start=warm,
                progress=progress,
                max_seconds=max_seconds,
                checkpoint_path=checkpoint_path,
                checkpoint_epochs=checkpoint_epochs,
                checkpoint=checkpoint,
                resume=resume,
                resume_from=resume_from,
            )
        finally:  # a fit that was stopped by Ctrl-C leaves what it has
            if model._handle is not before:
                self._model = model
                if labels is not None:
                    self.classes_ = classes
        return self

    def _every(self, options: dict[str, Option]) -> dict[str, Option]:
        """All options, but for the sizes of images where none are given: they are the model's already."""
        whole = {param.name: getattr(self, param.name) for param in encoder_params() if param.name not in SIZES}
        return whole | options

    def _labels(self, y: Any, warm: bool) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
        y = column_or_1d(y)
        classes: npt.NDArray[Any] = self.classes_ if warm and hasattr(self, "classes_") else np.unique(y)
        return _numbers(y, classes), classes

    # ---- Embedding ----

    def _data(self, X: Any, reset: bool, least: int = 1) -> Dataset:
        if isinstance(X, Dataset):
            if reset:
                self.n_features_in_ = X.cols
            return X
        return Dataset(self._rows(X, reset, least))

    def _rows(self, X: Any, reset: bool, least: int = 1) -> npt.NDArray[Any]:
        X = plain(X)
        if not reset:
            self._check_size(X)
        return checked(self, flat(X), reset, least)

    def _check_size(self, X: Any) -> None:
        """Images of another shape can have as many numbers: their channels may come first."""
        if getattr(X, "ndim", 0) != 4 or self.kind != "resnet":
            return
        sizes = self._model.options
        wanted = tuple(sizes[name] for name in SIZES)
        if tuple(X.shape[1:]) != wanted:
            raise ValueError(f"the images are {tuple(X.shape[1:])}, expected {wanted}: height, width, channels")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def _ready(self) -> EncoderModel:
        """The model, with the output that is wanted now."""
        check_is_fitted(self)
        if self.kind not in ("identity", "callback"):
            self._model = self._model.changed({"output": getattr(self, "output", "")})
        return self._model

    @property
    def embedding_cols(self) -> int:
        """Columns of the embedding."""
        return self._ready().embedding_cols(self.n_features_in_)

    @property
    def _n_features_out(self) -> int:
        return self.embedding_cols

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """The embeddings of rows (or images, or a Dataset), float32; option output says of what kind. A row's embedding
        does not depend on the rows beside it."""
        model = self._ready()
        rows = X if isinstance(X, Dataset) else self._rows(X, reset=False)
        out = np.empty((len(rows), model.embedding_cols(rows.shape[1])), dtype=np.float32)
        model.embed(rows, out)
        return out

    def _accuracy(self, X: Any, y: Any, X_test: Any, y_test: Any, neighbours: int | None) -> float:
        model = self._ready()
        train, test = self._data(X, reset=False), self._data(X_test, reset=False)
        y, y_test = column_or_1d(y), column_or_1d(y_test)
        for data, labels in ((train, y), (test, y_test)):
            if len(labels) != data.rows:
                raise ValueError(f"there are {len(labels)} labels, expected one for each of {data.rows} rows")
        classes = np.unique(np.concatenate([y, y_test]))
        return model.accuracy(train, _numbers(y, classes), test, _numbers(y_test, classes), neighbours)

    def knn_accuracy(self, X: Any, y: Any, X_test: Any, y_test: Any, *, neighbours: int = 0) -> float:
        """Share of the test rows whose class their nearest neighbours among X say (cosine of the embeddings, weighted);
        neighbours 0: 200, or all where there are fewer. Trained on nothing: the usual first measure of an encoder."""
        return self._accuracy(X, y, X_test, y_test, neighbours)

    def linear_accuracy(self, X: Any, y: Any, X_test: Any, y_test: Any) -> float:
        """Share of the test rows whose class one linear layer says that is trained on X's embeddings."""
        return self._accuracy(X, y, X_test, y_test, None)

    # ---- Files ----

    def import_weights(self, path: Path, names: str = "torchvision") -> Self:
        """Takes weights from a safetensors file by torchvision's names into a resnet whose depth, stem, units and size
        of the images are those of its options. names: "torchvision" or "simclr" (pixels divided by 255)."""
        model = EncoderModel(self.kind, self._options())
        model.take(path, names)
        return self._adopt(model)

    def export_weights(self, path: Path) -> None:
        """Writes the weights of a resnet to a safetensors file by torchvision's names."""
        self._ready().give(path)

    def _adopt(self, model: EncoderModel) -> Self:
        self._model = model
        for name, value in model.options.items():
            if getattr(self, name) != value:
                setattr(self, name, value)
        if model.cols > 0:
            self.n_features_in_ = model.cols
        return self

    def save(self, path: Path) -> None:
        """Writes the model file: the old one or the new one is there, never a part."""
        self._ready().save(path)

    def to_bytes(self) -> bytes:
        """The model file, in memory."""
        return self._ready().to_bytes()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a model file of an encoder."""
        return cls._of(EncoderModel.load(path))

    @classmethod
    def from_bytes(cls, data: Any) -> Self:
        return cls._of(EncoderModel.from_bytes(data))

    @classmethod
    def _of(cls, model: EncoderModel) -> Self:
        return cls(model.kind)._adopt(model)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_model" in state:
            state["_model"] = self.to_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_model" in state:
            state = {**state, "_model": EncoderModel.from_bytes(state["_model"])}
        super().__setstate__(state)

    def _twin(self) -> Self:
        """One that has the same model and options of its own."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.allow_nan = self.kind == "identity"  # what comes in comes out
        return tags


class CallableEncoder(EncoderBase):
    """A function of yours as an encoder; `Encoder.from_callable` makes it."""

    kind = "callback"

    def __init__(self, function: Callable[[Any], Any], n_features: int, n_embedding: int) -> None:
        self.function = function
        self.n_features = n_features
        self.n_embedding = n_embedding

    def fit(self, X: Any, y: Any = None, **_more: Any) -> Self:
        """Looks at the number of columns; there is nothing to train."""
        self._data(X, reset=False)
        return self

    def _rows(self, X: Any, reset: bool, least: int = 1) -> npt.NDArray[Any]:
        return super()._rows(X, False, least)

    @property
    def n_features_in_(self) -> int:  # type: ignore[override]
        return self.n_features

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _ready(self) -> EncoderModel:
        wanted = self.function, self.n_features, self.n_embedding
        if getattr(self, "_made_of", None) != wanted:
            self._model, self._made_of = EncoderModel.of_function(*wanted), wanted
        return self._model

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("function", "n_features", "n_embedding")}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
