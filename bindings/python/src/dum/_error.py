# SPDX-License-Identifier: MIT
"""A status of the library becomes an exception with the library's message."""

import re
import threading

from dum._dum import ffi, lib


class Error(Exception):
    """An error of libdum. `status` is its number in dum.h."""

    status = 0


class DumWarning(UserWarning):
    """What libdum has to say of a call that succeeds, such as that all scores are equal."""


class Cancelled(Error):
    """A fit was stopped before there was anything to keep."""

    status = 1


class ArgumentError(Error, ValueError):
    status = -1


class ShapeError(Error, ValueError):
    status = -2


class NonfiniteError(Error, ValueError):
    status = -3


class StateError(Error, RuntimeError):
    status = -4


class OutOfMemoryError(Error, MemoryError):
    status = -5


class FileError(Error, OSError):
    status = -6


class FormatError(Error, ValueError):
    status = -7


class VersionError(Error, ValueError):
    status = -8


class ChecksumError(Error, ValueError):
    status = -9


class LimitError(Error, MemoryError):
    status = -10


class BackendError(Error, RuntimeError):
    status = -11


class UnsupportedError(Error, NotImplementedError):
    status = -12


class AbiError(Error, RuntimeError):
    status = -13


class CallbackError(Error, RuntimeError):
    status = -14


class InternalError(Error, RuntimeError):
    status = -15


_BY_STATUS: dict[int, type[Error]] = {kind.status: kind for kind in Error.__subclasses__()}

# What a callback of this thread raised, until the call into the library has come back.
_raised = threading.local()


def keep_raised(_type: object, error: BaseException, _traceback: object) -> None:
    _raised.error = error


def fail(status: int) -> None:
    """Raises what the thread's last call failed with."""
    message = str(ffi.string(lib.dum_error_message()).decode(errors="replace"))
    if status == NonfiniteError.status:
        message = re.sub(r"-?\bnan\b", "NaN", message)  # the name that Python's users look for
    if status == StateError.status:  # what to call has the same name here, mostly
        message = message.replace("dum_scorer_set_encoder", "Scorer.load(path, encoder)")
        message = re.sub(r"\bdum_(head|scorer|monitor)_", "", message)
    if status == ArgumentError.status:  # the only way to such a NULL from Python
        message = re.sub(r"^(dataset|encoder|head|monitor|reference|scorer) is NULL$", r"\1 is closed", message)
    raise _BY_STATUS.get(status, Error)(message)


def check(status: int) -> None:
    if status != 0:
        fail(status)


def check_called_back(status: int) -> bool:
    """The same for a call that may have called back; False where it was stopped."""
    error = getattr(_raised, "error", None)
    if error is not None:
        _raised.error = None
        raise error
    if status < 0:
        fail(status)
    return status == 0
