# SPDX-License-Identifier: MIT
"""Contexts and backends; the log."""

import logging
import os
import sys
import threading
import warnings
from typing import Any, NamedTuple

from dum._dum import ffi, lib
from dum._error import DumWarning, check, check_called_back, keep_raised

Path = str | os.PathLike[str]

logger = logging.getLogger("dum")
logger.addHandler(logging.NullHandler())


def text(pointer: Any) -> str:
    return str(ffi.string(pointer).decode())


def c_path(path: Path) -> bytes:
    """The library would read a NUL as the end of a path, and write to another file."""
    data = os.fsencode(path)
    if b"\0" in data:
        raise ValueError(f"the path {path!r} holds a NUL")
    return data


def struct(name: str) -> Any:
    made = ffi.new(f"{name} *")
    made.struct_size = ffi.sizeof(name)
    return made


def _level_outside() -> int:
    """The stack level, seen from who calls this, of the first line that is none of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame, level = frame.f_back, level + 1
    return level


@ffi.def_extern(name="dum_py_log", onerror=keep_raised)  # type: ignore[untyped-decorator]
def _log(_user: Any, level: int, code: int, line: Any) -> None:
    levels = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO}
    message = text(line)
    logger.log(levels.get(level, logging.DEBUG), message, extra={"dum_code": code})
    # Who has set up no log sees these. An import that fails raises: its lines are only the details.
    if level <= lib.DUM_LOG_WARNING and code != lib.DUM_LOG_IMPORT:
        warnings.warn(message, DumWarning, stacklevel=_level_outside())


class Context:
    """Threads, memory, log and backend of the handles made with it. Most programs need none of their own."""

    def __init__(
        self, *, backend: str = "auto", device: int = 0, threads: int = 0, max_bytes: int = 0, module_dir: str = ""
    ) -> None:
        options = struct("dum_context_options")
        texts = ffi.new("char[]", backend.encode()), ffi.new("char[]", module_dir.encode())
        options.backend, options.device = texts[0], device
        options.threads, options.max_bytes = threads, max_bytes
        if module_dir:
            options.module_dir = texts[1]
        options.log = lib.dum_py_log
        out = ffi.new("dum_context **")
        check_called_back(lib.dum_context_create(options, out))
        self._handle = ffi.gc(out[0], lib.dum_context_destroy)

    @property
    def threads(self) -> int:
        return int(lib.dum_context_threads(self._handle))

    @property
    def backend(self) -> str:
        return text(lib.dum_context_backend(self._handle))

    @property
    def bytes(self) -> int:
        """Bytes that the context and its handles hold now."""
        return int(lib.dum_context_bytes(self._handle))

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a context belongs to its process and cannot be pickled")


_default: Context | None = None
_default_lock = threading.Lock()


def default_context() -> Context:
    """The context that is used where none is given. Its threads: OMP_NUM_THREADS where that is set (joblib
    sets it in its processes), else the processors available."""
    global _default
    if _default is None:
        with _default_lock:
            if _default is None:
                wanted = os.environ.get("OMP_NUM_THREADS", "")
                _default = Context(threads=min(int(wanted), 256) if wanted.isdecimal() else 0)  # 256: the most
    return _default


def set_threads(threads: int) -> None:
    """How many threads handles made from now on use, where no context is given; 0: the processors available."""
    global _default
    made = Context(threads=threads)
    with _default_lock:
        _default = made


class Backend(NamedTuple):
    name: str
    available: bool
    reason: str


def backends() -> list[Backend]:
    """The backends that the library knows, best first."""
    found = []
    for i in range(lib.dum_backend_count()):
        info = struct("dum_backend_info")
        check(lib.dum_backend_get(i, info))
        found.append(Backend(text(info.name), bool(info.available), text(info.reason)))
    return found
