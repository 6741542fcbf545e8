# SPDX-License-Identifier: MIT
"""Whatever holds numbers becomes rows of float32, without a copy where it holds those already."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dum._dum import ffi

FLOAT32, BYTES = np.dtype(np.float32), np.dtype(np.uint8)
FLOATS, DOUBLES = ffi.typeof("float[]"), ffi.typeof("double[]")  # parsed once: one row is scored in microseconds


def plain(x: Any) -> Any:
    """What NumPy and scikit-learn can read. Refuses what they would read wrongly."""
    if isinstance(x, np.ndarray):
        if isinstance(x, np.ma.MaskedArray):
            raise TypeError("masked arrays are not supported: fill the gaps first, or drop those rows")
        return x
    if hasattr(x, "toarray") and hasattr(x, "nnz"):
        raise TypeError("Sparse data was passed, but dense data is required: use .toarray()")
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.from_dlpack(x)
    return x


def narrow(x: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """To float32. A value that float32 cannot hold is an error, not an infinity."""
    if np.iscomplexobj(x):
        raise ValueError("Complex data not supported")
    if x.dtype.kind not in "biufO":
        raise ValueError(f"values of type {x.dtype} are not numbers: encode them first")
    with np.errstate(over="raise"):
        try:
            return np.asarray(x, dtype=np.float32, order="C")
        except FloatingPointError:
            place = np.argwhere(np.isfinite(x) & (np.abs(x) > np.finfo(np.float32).max))[0]
            where = f"row {place[0]}, column {place[1]}" if len(place) == 2 else f"index {place[0]}"
            raise ValueError(f"{where} is {x[tuple(place)]:g}, which does not fit into float32") from None


def flat(x: Any) -> Any:
    """Images (rows x height x width x channels) become rows; anything else stays what it is."""
    if getattr(x, "ndim", 0) == 3:
        raise ValueError(
            "expected a 2-dimensional array, rows by columns, or images, rows x height x width x channels; "
            "this one has 3 dimensions (grey images: x[..., None]; one image: x[None])"
        )
    if getattr(x, "ndim", 0) != 4 or not hasattr(x, "reshape"):
        return x
    return x.reshape(len(x), x.shape[1] * x.shape[2] * x.shape[3])


def table(x: Any) -> npt.NDArray[Any]:
    """Rows by columns, of whatever type."""
    if type(x) is not np.ndarray:
        given = plain(x)
        x = np.asarray(given)
        if x.dtype == object and hasattr(given, "isna"):
            x = given.to_numpy(dtype=object, na_value=np.nan)  # pandas.NA is no number
    x = flat(x)
    if x.ndim != 2:
        raise ValueError(
            "expected a 2-dimensional array, rows by columns, or images, rows x height x width x channels; "
            f"this one has {x.ndim} dimension(s)"
        )
    return x  # type: ignore[no-any-return]


def matrix(x: Any) -> npt.NDArray[np.float32]:
    """Two-dimensional float32 whose rows are contiguous each; they may lie apart."""
    x = table(x)
    step, width = x.strides
    if x.dtype == FLOAT32 and width == 4 and step >= 4 * x.shape[1] and step % 4 == 0 and x.ctypes.data % 4 == 0:
        return x  # type: ignore[no-any-return]
    return narrow(x)


def rows_of(x: Any) -> tuple[Any, int, int, int, npt.NDArray[np.float32]]:
    """Pointer, rows, columns, stride, and the array that must be kept alive meanwhile."""
    if type(x) is np.ndarray and x.dtype == FLOAT32 and x.ndim == 2:
        flags = x.flags
        if flags.c_contiguous and flags.aligned:
            rows, cols = x.shape
            return ffi.from_buffer(FLOATS, x), rows, cols, cols, x
    x = matrix(x)
    rows, cols = x.shape
    return ffi.cast("float *", x.ctypes.data), rows, cols, x.strides[0] // 4, x


def column_names(x: Any) -> list[str] | None:
    """The names of a data frame's columns, where all are text."""
    names = getattr(x, "column_names", None)  # Arrow's; pandas' and Polars' are columns
    if names is None:
        names = getattr(x, "columns", None)
    if names is None or callable(names):
        return None
    names = list(names)
    return names if names and all(isinstance(name, str) for name in names) else None


def doubles(x: Any, what: str) -> npt.NDArray[np.float64]:
    x = np.ascontiguousarray(plain(x), dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"{what}: expected a 1-dimensional array; this one has {x.ndim} dimensions")
    return x  # type: ignore[no-any-return]
