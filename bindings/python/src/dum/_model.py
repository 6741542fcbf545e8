# SPDX-License-Identifier: MIT
"""Heads, scorers, and what an encoder has inside."""

import copy
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from dum._array import BYTES, DOUBLES, column_names, plain, rows_of
from dum._context import Context, Path, c_path, default_context, struct, text
from dum._dataset import FEW, Dataset, by_blocks, source
from dum._dum import ffi, lib
from dum._error import ArgumentError, Cancelled, check, check_called_back, keep_raised
from dum._fit import ProgressCallback, ReduceCallback, watching
from dum._handle import Handle, again, restore
from dum._params import Option, Param, encoder_params, head_params, scorer_params

if TYPE_CHECKING:
    from dum._encoder import EncoderBase


INTEGERS = ffi.typeof("int32_t[]")
MANY = 1 << 20  # scores whose p-values take a part of a second


def model_of(encoder: Any) -> "EncoderModel | None":
    """What a scorer stands on."""
    if encoder is not None and not hasattr(encoder, "_ready"):
        raise TypeError(f"encoder is {encoder!r}, expected a dum.Encoder")
    model: EncoderModel | None = None if encoder is None else encoder._ready()
    return model


class _Model(Handle):
    """What is fitted to rows."""

    @property
    def cols(self) -> int:
        """Columns of the input; 0 before fit."""
        return self._call("cols", self._handle)

    @property
    def fitted(self) -> bool:
        return self.cols > 0

    def fit(
        self,
        x: Any,
        *,
        pairs: Any = None,
        progress: bool | ProgressCallback = False,
        max_seconds: float = 0,
        warm_start: bool = False,
        checkpoint_path: Path | None = None,
        checkpoint_epochs: int = 0,
        checkpoint: Callable[[bytes], object] | None = None,
        resume: bool = False,
        resume_from: bytes | None = None,
        labels: Any = None,
        reduce: ReduceCallback | None = None,
        rank: int = 0,
        ranks: int = 0,
    ) -> Self:
        """Fits to the rows of x. `progress`: True for a bar (tqdm), or a function that is given a Progress after
        every step; where that returns something true, where max_seconds have passed, and at Ctrl-C, the fit stops
        within a step and what there is so far is kept. `labels`: of kinds that take them (mds, flow), the class of each
        row, from 0 on. `reduce`, `rank`, `ranks`: heads, and scorer dum, trained by several processes
        (docs/scaling-out.md); reduce is given a float32 array that lives during the call, and replaces each value by
        its sum over all ranks."""
        return self._fit(
            x,
            labels=labels,
            pairs=pairs,
            progress=progress,
            max_seconds=max_seconds,
            warm_start=warm_start,
            checkpoint_path=checkpoint_path,
            checkpoint_epochs=checkpoint_epochs,
            checkpoint=checkpoint,
            resume=resume,
            resume_from=resume_from,
            reduce=reduce,
            rank=rank,
            ranks=ranks,
        )

    def _fit(
        self,
        x: Any,
        *,
        pairs: Any = None,
        labels: Any = None,
        progress: bool | ProgressCallback = False,
        max_seconds: float = 0,
        warm_start: bool = False,
        checkpoint_path: Path | None = None,
        checkpoint_epochs: int = 0,
        checkpoint: Callable[[bytes], object] | None = None,
        resume: bool = False,
        resume_from: bytes | None = None,
        reduce: ReduceCallback | None = None,
        rank: int = 0,
        ranks: int = 0,
    ) -> Self:
        data = x if isinstance(x, Dataset) else Dataset(x, context=self._context)
        second = pairs if pairs is None or isinstance(pairs, Dataset) else Dataset(pairs, context=self._context)
        handle = self._begin(warm_start and self.fitted)
        options = struct("dum_fit_options")
        keep: list[Any] = []
        if second is not None:
            options.pairs = second._handle
        if labels is not None:
            given = np.asarray(labels)
            if given.shape != (data.rows,):
                raise ValueError(f"labels have the shape {given.shape}, expected one for each of {data.rows} rows")
            with np.errstate(invalid="ignore"):
                if given.dtype.kind not in "biufO" or (given.astype(np.int32) != given).any():
                    raise ValueError("labels must be whole numbers: np.unique(y, return_inverse=True)[1] makes them")
            classes = np.ascontiguousarray(given, dtype=np.int32)
            keep.append(classes)
            options.labels = ffi.from_buffer(INTEGERS, classes)
        if checkpoint_path is not None:
            keep.append(ffi.new("char[]", c_path(checkpoint_path)))
            options.checkpoint_path = keep[-1]
        if checkpoint is not None:
            keep.append(ffi.new_handle(checkpoint))
            options.checkpoint, options.checkpoint_user = lib.dum_py_checkpoint, keep[-1]
        if resume_from is not None:
            keep.append(ffi.from_buffer(resume_from))
            options.resume_from, options.resume_size = keep[-1], len(resume_from)
        options.rank, options.ranks = rank, ranks
        if reduce is not None:
            keep.append(ffi.new_handle(reduce))
            options.reduce, options.reduce_user = lib.dum_py_reduce, keep[-1]
        options.max_seconds, options.warm_start = max_seconds, bool(warm_start)
        options.checkpoint_epochs, options.resume = checkpoint_epochs, bool(resume)
        with watching(progress) as (watch, end):
            keep.append(ffi.new_handle(watch))
            options.progress, options.progress_user = lib.dum_py_progress, keep[-1]
            status = self._call("fit", handle, data._handle, options)
            if status == 0:
                end()
        if status >= 0 and self._call("cols", handle) > 0:
            self._handle = handle
        if not check_called_back(status) and self._handle is not handle:
            raise Cancelled("the fit was stopped before there was anything to keep")
        return self

    def _begin(self, warm: bool) -> Any:
        """The handle that a fit trains."""
        return self._copy() if warm else self._fresh()


class Head(_Model):
    """The network that predicts how uncertain an embedding is. Options: docs/options.md, from `preset` on."""

    _noun = "head"

    def __init__(self, *, context: Context | None = None, **options: Option) -> None:
        super().__init__(head_params(), options, context)

    def _create(self, out: Any) -> int:
        return int(lib.dum_head_create(self._context._handle, out))

    def _table(self) -> list[Param]:
        return head_params()

    def log_variance(self, x: Any) -> npt.NDArray[np.float32]:
        """log sigma^2 of each row, in the head's scaled space: rows x 1 (circular) or rows x columns."""
        handle = self._handle
        rows = source(x)
        out = np.empty((len(rows), lib.dum_head_log_variance_cols(handle)), dtype=np.float32)
        by_blocks(rows, partial(lib.dum_head_log_variance, handle), out)
        return out


class Scorer(_Model):
    """Any kind of scorer, as the library has it: higher scores are more anomalous."""

    _noun = "scorer"

    def __init__(
        self,
        kind: str = "dum",
        *,
        encoder: "EncoderBase | None" = None,
        context: Context | None = None,
        **options: Option,
    ) -> None:
        """Options: docs/options.md. `encoder`: below the scorer, which then takes the encoder's inputs; as it is now,
        whatever is done to it afterwards."""
        self._kind = kind
        self._encoder = encoder
        self._below = model_of(encoder)
        self._from_file = False
        super().__init__(scorer_params(kind), options, context)

    def _create(self, out: Any) -> int:
        return int(lib.dum_scorer_create(self._context._handle, self._kind.encode(), out))

    def _fresh(self) -> Any:
        handle = super()._fresh()
        self._put(handle)
        return handle

    def _put(self, handle: Any) -> None:
        if self._below is not None:
            check(lib.dum_scorer_set_encoder(handle, self._below._handle))

    def _copy(self) -> Any:
        handle = super()._copy()
        if self._below is not None and self._below.hosted:  # the others are in the file
            self._put(handle)
        return handle

    def _begin(self, warm: bool) -> Any:
        # The encoder of a scorer that comes from a file is nowhere but in the scorer.
        return self._copy() if warm or self._from_file else self._fresh()

    @classmethod
    def load(cls, path: Path, encoder: "EncoderBase | None" = None, *, context: Context | None = None) -> Self:
        """Reads a model file. `encoder`: what the scorer was fitted on, where that was a function: no file has it."""
        return super().load(path, context=context)._stand_on(encoder)

    @classmethod
    def from_bytes(cls, data: Any, encoder: "EncoderBase | None" = None, *, context: Context | None = None) -> Self:
        return super().from_bytes(data, context=context)._stand_on(encoder)

    def _stand_on(self, encoder: "EncoderBase | None") -> Self:
        self._encoder = encoder
        self._below = model_of(encoder)
        self._from_file = True
        self._put(self._handle)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.fitted:
            hosted = self._below is not None and self._below.hosted
            return restore, (type(self), self.to_bytes(), *((self._encoder,) if hosted else ()))
        more = {} if self._encoder is None else {"encoder": self._encoder}
        return again, (type(self), self._arguments(), {**more, **self._options})

    def _table(self) -> list[Param]:
        self._kind = text(lib.dum_scorer_kind(self._handle))
        return scorer_params(self._kind)

    def _arguments(self) -> tuple[Any, ...]:
        return (self._kind,)

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def names(self) -> list[str] | None:
        """The names of the columns that it was fitted to, where they had some."""
        handle = self._handle
        found = [lib.dum_scorer_feature_name(handle, col) for col in range(lib.dum_scorer_cols(handle))]
        return [text(name) for name in found] if found and found[0] != ffi.NULL else None

    def score(self, x: Any) -> npt.NDArray[np.float64]:
        """One number a row, higher = more anomalous. A row's score does not depend on the rows beside it. Columns
        that have names (a data frame, a dataset) must have those of the training rows."""
        handle = self._handle
        if type(x) is np.ndarray and x.ndim == 2 and x.dtype != BYTES and len(x) <= FEW:
            # One row takes microseconds.
            pointer, rows, cols, stride, _keep = rows_of(x)
            out = np.empty(rows)
            status = lib.dum_scorer_score(handle, pointer, rows, cols, stride, ffi.from_buffer(DOUBLES, out))
            if status:
                check_called_back(status)
            return out
        data = self._source(x)
        out = np.empty(len(data))
        by_blocks(data, partial(lib.dum_scorer_score, handle), out)
        return out

    def _source(self, x: Any) -> npt.NDArray[np.float32] | Dataset:
        """As `source`. Compares the names of the columns, as the library does where it is given a dataset."""
        names = x.names if isinstance(x, Dataset) else column_names(x)
        known = self.names if names else None
        for col, (name, own) in enumerate(zip(names or [], known or [], strict=False)):
            if name != own:
                raise ArgumentError(f'column {col} is named "{name}", the scorer was fitted with "{own}" there')
        return source(x)

    def explain(self, x: Any) -> npt.NDArray[np.float32]:
        """Each feature's share of each row's score; a row sums to 1. Not every kind can."""
        rows, handle = self._source(x), self._handle
        share = np.empty(rows.shape, dtype=np.float32)
        by_blocks(rows, lambda *block: lib.dum_scorer_explain(handle, *block, ffi.NULL), share)
        return share

    def deviation(self, x: Any) -> npt.NDArray[np.float32]:
        """Kind dum: the predicted standard deviation of each feature, in the feature's own unit."""
        rows = self._source(x)
        share, out = np.empty(rows.shape, dtype=np.float32), np.empty(rows.shape, dtype=np.float32)
        by_blocks(rows, partial(lib.dum_scorer_explain, self._handle), share, out)
        return out

    def calibrate(self, held_out: Any) -> Self:
        """Keeps the scores of rows that are normal and were not trained on, for threshold and pvalue."""
        data = held_out if isinstance(held_out, Dataset) else Dataset(held_out, context=self._context)
        handle = self._copy()
        check_called_back(lib.dum_scorer_calibrate(handle, data._handle))
        self._handle = handle
        return self

    @property
    def calibration_count(self) -> int:
        return int(lib.dum_scorer_calibration_count(self._handle))

    def threshold(self, false_alarm_rate: float) -> float:
        """What a new normal row scores above with at most this probability (split conformal)."""
        out = ffi.new("double *")
        check(lib.dum_scorer_threshold(self._handle, false_alarm_rate, out))
        return float(out[0])

    def pvalue(self, scores: Any) -> npt.NDArray[np.float64]:
        """Conformal p-values of scores: how usual such a score is among normal rows."""
        p = np.array(scores, dtype=np.float64, ndmin=1, order="C")
        for first in range(0, max(p.size, 1), MANY):  # Python looks for Ctrl-C between two
            some = p.reshape(-1)[first : first + MANY]
            into = ffi.from_buffer(DOUBLES, some)
            check(lib.dum_scorer_pvalue(self._handle, into, some.size, into))
        return p


@ffi.def_extern(name="dum_py_embed", error=1, onerror=keep_raised)  # type: ignore[untyped-decorator]
def _embed(user: Any, data: Any, rows: int, cols: int, stride: int, out: Any) -> int:
    function, embedding_cols = ffi.from_handle(user)
    given = np.frombuffer(ffi.buffer(data, 4 * ((rows - 1) * stride + cols)), dtype=np.float32)
    x = np.lib.stride_tricks.as_strided(given, (rows, cols), (4 * stride, 4)).copy()  # function may keep it
    made = np.asarray(plain(function(x)))
    if made.shape != (rows, embedding_cols):
        raise ValueError(
            f"the encoder's function made an array of shape {made.shape}, expected {(rows, embedding_cols)}"
        )
    np.frombuffer(ffi.buffer(out, 4 * rows * embedding_cols), dtype=np.float32).reshape(made.shape)[:] = made
    return 0


class EncoderModel(_Model):
    """What an encoder has inside: the library's handle."""

    _noun = "encoder"
    _function: Any = None

    def __init__(self, kind: str, options: dict[str, Option], context: Context | None = None) -> None:
        self._kind = kind
        super().__init__([] if kind == "identity" else encoder_params(), options, context)

    def _create(self, out: Any) -> int:
        return int(lib.dum_encoder_create(self._context._handle, self._kind.encode(), out))

    @classmethod
    def of_function(cls, function: Callable[[Any], Any], cols: int, embedding_cols: int) -> Self:
        made = cls.__new__(cls)
        made._context, made._kind, made._options, made._params = default_context(), "callback", {}, []
        made._function = ffi.new_handle((function, embedding_cols))
        out = ffi.new("dum_encoder **")
        check(
            lib.dum_encoder_from_callback(
                made._context._handle, cols, embedding_cols, lib.dum_py_embed, made._function, out
            )
        )
        made._handle = made._own(out[0])
        return made

    def _table(self) -> list[Param]:
        self._kind = text(lib.dum_encoder_kind(self._handle))
        return [] if self._kind == "identity" else encoder_params()

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def hosted(self) -> bool:
        """Whether the embeddings are made by a function of Python's, which no model file holds."""
        return self._kind == "callback"

    def changed(self, options: dict[str, Option]) -> Self:
        """The same weights with these options, in a handle of its own where some differ."""
        values = {param.name: self._value(param) for param in self._params if param.name in options}
        different = {name: value for name, value in options.items() if values.get(name) != value}
        if not different:
            return self
        made = type(self)._loaded(self._copy(), self._context)
        for name, value in different.items():
            made._set(made._handle, name, value)
        return made

    def _twin(self, options: dict[str, Option]) -> Self:
        """The same, but never this very object: scorers stand on this one."""
        made = self.changed(options)
        return copy.copy(made) if made is self else made

    def train(self, data: Dataset, labels: Any, warm_start: bool, **more: Any) -> Self:
        return self._fit(data, labels=labels, warm_start=warm_start, **more)

    def take(self, path: Path, names: str) -> None:
        handle = self._fresh()
        check_called_back(lib.dum_encoder_import(handle, c_path(path), names.encode()))
        self._handle = handle

    def give(self, path: Path) -> None:
        check(lib.dum_encoder_export(self._handle, c_path(path)))

    def embedding_cols(self, cols: int) -> int:
        return int(lib.dum_encoder_embedding_cols(self._handle, cols))

    def embed(self, x: Any, out: npt.NDArray[np.float32]) -> None:
        by_blocks(source(x), partial(lib.dum_encoder_embed, self._handle), out)

    def accuracy(self, train: Dataset, y: Any, test: Dataset, y_test: Any, neighbours: int | None) -> float:
        """Of one linear layer where neighbours is None."""
        sets = train._handle, ffi.from_buffer(INTEGERS, y), test._handle, ffi.from_buffer(INTEGERS, y_test)
        out = ffi.new("double *")
        if neighbours is None:
            check_called_back(lib.dum_encoder_linear_accuracy(self._handle, *sets, out))
        else:
            check_called_back(lib.dum_encoder_knn_accuracy(self._handle, *sets, neighbours, out))
        return float(out[0])


class ModelInfo(NamedTuple):
    """What a model file says of itself."""

    format: int
    min_reader: int
    writer: str
    kind: str
    sha256: str


def inspect_model(path: Path) -> ModelInfo:
    """Checks a model file, and reads what it says of itself."""
    info = struct("dum_model_info")
    check(lib.dum_model_inspect(default_context()._handle, c_path(path), info))
    return ModelInfo(info.format, info.min_reader, text(info.writer), text(info.kind), text(info.sha256))
