# SPDX-License-Identifier: MIT
"""What a fit calls back to. An exception in a callback is kept, and raised when the call has come back."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dum._dum import ffi
from dum._error import keep_raised


class Progress(NamedTuple):
    """How far a fit is."""

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    seconds: float
    seconds_left: float


ProgressCallback = Callable[[Progress], object]
ReduceCallback = Callable[[npt.NDArray[np.float32]], object]


@ffi.def_extern(name="dum_py_progress", error=1, onerror=keep_raised)  # type: ignore[untyped-decorator]
def _progress(user: Any, p: Any) -> int:
    step = Progress(p.step, p.steps, p.epoch, p.epochs, p.loss, p.seconds, p.seconds_left)
    return 1 if ffi.from_handle(user)(step) else 0


@ffi.def_extern(name="dum_py_checkpoint", error=1, onerror=keep_raised)  # type: ignore[untyped-decorator]
def _checkpoint(user: Any, data: Any, size: int) -> int:
    ffi.from_handle(user)(bytes(ffi.buffer(data, size)))
    return 0


@ffi.def_extern(name="dum_py_reduce", error=1, onerror=keep_raised)  # type: ignore[untyped-decorator]
def _reduce(user: Any, values: Any, count: int) -> int:
    ffi.from_handle(user)(np.frombuffer(ffi.buffer(values, 4 * count), dtype=np.float32))
    return 0


def _go_on(_progress: Progress) -> None:
    """Python looks for Ctrl-C before it comes here: that is enough to stop a fit."""


def _nothing() -> None:
    pass


@contextmanager
def watching(progress: bool | ProgressCallback) -> Iterator[tuple[ProgressCallback, Callable[[], object]]]:
    """What a fit calls after each step, and what is called when it has come to its end."""
    if not isinstance(progress, bool | np.bool_):
        yield progress, _nothing
        return
    if not progress:
        yield _go_on, _nothing
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        warnings.warn("progress=True shows nothing: tqdm is not installed", stacklevel=4)
        yield _go_on, _nothing
        return
    with tqdm(unit="step") as bar:

        def show(p: Progress) -> None:
            bar.total = p.steps
            bar.set_postfix(loss=f"{p.loss:.4g}", refresh=False)
            bar.update(p.step - bar.n)

        # A bar that is not full is red in a notebook; kinds without steps only say now and then how far they are.
        yield show, lambda: bar.update((bar.total or bar.n) - bar.n)
