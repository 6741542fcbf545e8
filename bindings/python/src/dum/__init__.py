# SPDX-License-Identifier: MIT
"""libdum for Python: anomaly detection and deep uncertainty models.

Detectors (`dum.IsolationForest`, `dum.KNN`, `dum.DUM`, ...) follow scikit-learn: higher `score_samples` is more
normal. `Scorer` and `Head` are the library's own handles: higher `score` is more anomalous. `Encoder` makes embeddings,
`Monitor` raises the alarm on a deployed model.
"""

import importlib
from typing import TYPE_CHECKING

from dum import images
from dum._context import Backend, Context, backends, set_threads
from dum._dataset import Dataset
from dum._dum import ffi as _ffi
from dum._dum import lib as _lib
from dum._error import (
    AbiError,
    ArgumentError,
    BackendError,
    CallbackError,
    Cancelled,
    ChecksumError,
    DumWarning,
    Error,
    FileError,
    FormatError,
    InternalError,
    LimitError,
    NonfiniteError,
    OutOfMemoryError,
    ShapeError,
    StateError,
    UnsupportedError,
    VersionError,
)
from dum._fit import Progress
from dum._model import Head, ModelInfo, Scorer, inspect_model
from dum._monitor import Monitor, MonitorState, TopRow
from dum._params import Param, encoder_kinds, encoder_params, head_params, monitor_params, scorer_kinds, scorer_params
from dum._stats import Estimate, TTest, auroc, average_precision, false_discoveries, fpr95, product_of_experts, ttest

if TYPE_CHECKING:
    from dum import plot as plot
    from dum._kinds import *

__version__: str = _ffi.string(_lib.dum_version()).decode()

__all__ = [
    "AbiError",
    "ArgumentError",
    "Backend",
    "BackendError",
    "CallbackError",
    "Cancelled",
    "ChecksumError",
    "Context",
    "Dataset",
    "DumWarning",
    "Error",
    "Estimate",
    "FileError",
    "FormatError",
    "Head",
    "InternalError",
    "LimitError",
    "ModelInfo",
    "Monitor",
    "MonitorState",
    "NonfiniteError",
    "OutOfMemoryError",
    "Param",
    "Progress",
    "Scorer",
    "ShapeError",
    "StateError",
    "TTest",
    "TopRow",
    "UnsupportedError",
    "VersionError",
    "auroc",
    "average_precision",
    "backends",
    "encoder_kinds",
    "encoder_params",
    "false_discoveries",
    "fpr95",
    "head_params",
    "images",
    "inspect_model",
    "monitor_params",
    "product_of_experts",
    "scorer_kinds",
    "scorer_params",
    "set_threads",
    "ttest",
]


def __getattr__(name: str) -> object:
    """Detectors and encoders need scikit-learn, which takes a second to import: only when one is asked for."""
    if name == "plot":
        return importlib.import_module("dum.plot")
    if not name.startswith("_"):
        from dum import _kinds

        if name in _kinds.__all__:
            return getattr(_kinds, name)
    raise AttributeError(f"module 'dum' has no attribute {name!r}")


def __dir__() -> list[str]:
    from dum import _kinds

    return sorted([*globals(), *_kinds.__all__, "plot"])
