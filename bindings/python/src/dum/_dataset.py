# SPDX-License-Identifier: MIT
"""Rows to fit to or to score."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from dum._array import BYTES, DOUBLES, FLOAT32, FLOATS, column_names, matrix, rows_of, table
from dum._context import Context, Path, c_path, default_context, text
from dum._dum import ffi, lib
from dum._error import Error, check, check_called_back, keep_raised


@ffi.def_extern(name="dum_py_read", error=1, onerror=keep_raised)  # type: ignore[untyped-decorator]
def _read(user: Any, indices: Any, count: int, out: Any) -> int:
    read, cols = ffi.from_handle(user)
    wanted = np.frombuffer(ffi.buffer(indices, 8 * count), dtype=np.int64).copy()  # read may keep it
    into = np.frombuffer(ffi.buffer(out, 4 * count * cols), dtype=np.float32).reshape(count, cols)
    into[:] = read(wanted)
    return 0


class Dataset:
    """Rows to fit to or to score: an array (not copied where it is float32 or uint8), a .npy file, or a function.
    Images, rows x height x width x channels, become rows."""

    def __init__(self, x: Any, names: Sequence[str] | None = None, *, context: Context | None = None) -> None:
        if names is None:
            names = column_names(x)
        context = context or default_context()
        out = ffi.new("dum_dataset **")
        keep: Any = table(x)
        floats = None
        if keep.dtype == BYTES and keep.strides[1] == 1 and keep.strides[0] >= keep.shape[1]:
            pointer, stride = ffi.cast("uint8_t *", keep.ctypes.data), keep.strides[0]
            check(lib.dum_dataset_from_bytes(context._handle, pointer, *keep.shape, stride, out))
        else:
            pointer, rows, cols, stride, keep = rows_of(keep)
            floats = keep
            check(lib.dum_dataset_from_memory(context._handle, pointer, rows, cols, stride, out))
        self._adopt(out[0], (pointer, keep), floats)
        self._name(names)

    def _adopt(self, handle: Any, keep: Any, floats: npt.NDArray[np.float32] | None = None) -> None:
        self._handle = ffi.gc(handle, lib.dum_dataset_destroy)
        self._keep = keep
        self._floats = floats

    def _name(self, names: Sequence[str] | None) -> None:
        if names is None:
            return
        texts = [ffi.new("char[]", name.encode()) for name in names]
        check(lib.dum_dataset_set_feature_names(self._handle, ffi.new("char *[]", texts), len(texts)))

    @classmethod
    def from_npy(cls, path: Path, names: Sequence[str] | None = None, *, context: Context | None = None) -> Self:
        """Maps a .npy file of float32, float64 or uint8; of up to four dimensions, the first are the rows."""
        context = context or default_context()
        out = ffi.new("dum_dataset **")
        check(lib.dum_dataset_from_npy(context._handle, c_path(path), out))
        made = cls.__new__(cls)
        made._adopt(out[0], None)
        made._name(names)
        return made

    @classmethod
    def from_function(
        cls,
        rows: int,
        cols: int,
        read: Callable[[npt.NDArray[np.int64]], Any],
        names: Sequence[str] | None = None,
        *,
        context: Context | None = None,
    ) -> Self:
        """Rows come from read(indices), which returns an array of len(indices) x cols."""
        context = context or default_context()
        out = ffi.new("dum_dataset **")
        user = ffi.new_handle((read, cols))
        check(lib.dum_dataset_from_callback(context._handle, rows, cols, lib.dum_py_read, user, out))
        made = cls.__new__(cls)
        made._adopt(out[0], user)
        made._name(names)
        return made

    @property
    def rows(self) -> int:
        return int(lib.dum_dataset_rows(self._handle))

    @property
    def cols(self) -> int:
        return int(lib.dum_dataset_cols(self._handle))

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.cols

    @property
    def names(self) -> list[str] | None:
        found = [lib.dum_dataset_feature_name(self._handle, col) for col in range(self.cols)]
        return [text(name) for name in found] if found[0] != ffi.NULL else None

    def read(self, first: int, count: int) -> npt.NDArray[np.float32]:
        """A copy of some rows."""
        out = np.empty((max(count, 0), self.cols), dtype=np.float32)
        check_called_back(lib.dum_dataset_read(self._handle, first, count, ffi.from_buffer(FLOATS, out)))
        return out

    def __len__(self) -> int:
        return self.rows

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a dataset only borrows its rows and cannot be pickled")


FEW = 64  # rows of the first block
LONG = 0.2  # seconds of a block after which the next is no larger
LARGE = 1 << 20  # bytes of a copied one after which the next is no larger


def source(x: Any) -> "npt.NDArray[np.float32] | Dataset":
    """What `by_blocks` takes: rows of float32, or a data set of others, which are made float32 when they are read."""
    if type(x) is np.ndarray and x.dtype != BYTES:
        return matrix(x)
    data = x if isinstance(x, Dataset) else Dataset(x)
    return data if data._floats is None else data._floats


def by_blocks(
    x: "npt.NDArray[np.float32] | Dataset", call: Callable[..., int], *outs: npt.NDArray[Any], few: int = FEW
) -> None:
    """Calls call(pointer, rows, columns, stride, pointer into each of outs) for some rows after the others: Python looks
    for Ctrl-C between two calls only, and what a row gets does not depend on the rows beside it. The blocks double until
    one takes long, or is a large copy."""
    rows, first, count = len(x), 0, few
    while True:
        begin = time.monotonic()
        end = min(first + count, rows)
        part = x.read(first, end - first) if isinstance(x, Dataset) else x[first:end]
        pointer, some, cols, stride, _keep = rows_of(part)
        into = [ffi.from_buffer(FLOATS if out.dtype == FLOAT32 else DOUBLES, out[first:end]) for out in outs]
        try:
            check_called_back(call(pointer, some, cols, stride, *into))
        except Error as error:
            number = re.match(r"row (\d+)", str(error))
            if number is None or first == 0:
                raise
            raise type(error)(f"row {int(number[1]) + first}{str(error)[number.end() :]}") from None
        first = end
        if first == rows:
            return
        if time.monotonic() - begin < LONG and not (isinstance(x, Dataset) and part.nbytes >= LARGE):
            count *= 2
