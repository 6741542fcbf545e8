# SPDX-License-Identifier: MIT
"""What has options, is fitted, and is saved: heads, scorers, encoders, monitors."""

from typing import Any, ClassVar, Self

from dum._context import Context, Path, c_path, default_context, text
from dum._dum import ffi, lib
from dum._error import check, check_called_back
from dum._params import Option, Param


def restore(cls: Any, data: bytes, *more: Any) -> Any:
    return cls.from_bytes(data, *more)


def again(cls: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return cls(*arguments, **options)


class Handle:
    """A fit makes a new handle and puts it in the old one's place at the end: threads that use the old one
    meanwhile are safe, and a fit that fails leaves everything as it was."""

    _noun: ClassVar[str]

    def __init__(self, params: list[Param], options: dict[str, Option], context: Context | None) -> None:
        self._context = context or default_context()
        known = [param.name for param in params]
        # An option such as preset sets those below it: the table's order, not the caller's.
        self._options = dict(sorted(options.items(), key=lambda o: known.index(o[0]) if o[0] in known else -1))
        self._params = params
        self._handle = self._fresh()

    def _call(self, verb: str, *arguments: Any) -> int:
        return int(getattr(lib, f"dum_{self._noun}_{verb}")(*arguments))

    def _create(self, out: Any) -> int:
        raise NotImplementedError

    @classmethod
    def _own(cls, pointer: Any) -> Any:
        return ffi.gc(pointer, getattr(lib, f"dum_{cls._noun}_destroy"))

    def _fresh(self) -> Any:
        out = ffi.new(f"dum_{self._noun} **")
        check(self._create(out))
        handle = self._own(out[0])
        for name, value in self._options.items():
            self._set(handle, name, value)
        return handle

    def _set(self, handle: Any, name: str, value: Option) -> None:
        if isinstance(value, str):
            check(self._call("set_text", handle, name.encode(), value.encode()))
            return
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"option {name} is {value!r}, expected a number or a text") from None
        check(self._call("set_number", handle, name.encode(), number))

    def _copy(self) -> Any:
        out = ffi.new(f"dum_{self._noun} **")
        data = self.to_bytes()
        check(self._call("load_memory", self._context._handle, data, len(data), out))
        return self._own(out[0])

    @classmethod
    def _loaded(cls, handle: Any, context: Context) -> Self:
        """Of a handle that is owned already."""
        made = cls.__new__(cls)
        made._context = context
        made._handle = handle
        made._params = made._table()
        made._options = made.options
        return made

    def _table(self) -> list[Param]:
        raise NotImplementedError

    @property
    def options(self) -> dict[str, Option]:
        """Every option and its value."""
        return {param.name: self._value(param) for param in self._params}

    def _value(self, param: Param) -> Option:
        if param.type == "text":
            value = ffi.new("char **")
            check(self._call("get_text", self._handle, param.name.encode(), value))
            return text(value[0])
        number = ffi.new("double *")
        check(self._call("get_number", self._handle, param.name.encode(), number))
        return int(number[0]) if param.type == "integer" else float(number[0])

    @property
    def fitted(self) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        """Gives the memory back now, not when this object is collected; calls of other threads that are under way
        still end as they should. Of what is closed, only fit is left."""
        self._handle = ffi.NULL

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def save(self, path: Path) -> None:
        """Writes the model file: the old one or the new one is there, never a part."""
        check(self._call("save", self._handle, c_path(path)))

    @classmethod
    def load(cls, path: Path, *, context: Context | None = None) -> Self:
        context = context or default_context()
        out = ffi.new(f"dum_{cls._noun} **")
        check_called_back(getattr(lib, f"dum_{cls._noun}_load")(context._handle, c_path(path), out))
        return cls._loaded(cls._own(out[0]), context)

    def to_bytes(self) -> bytes:
        """The model file, in memory."""
        size = ffi.new("size_t *")
        handle = self._handle
        check(self._call("save_memory", handle, ffi.NULL, 0, size))
        data = bytearray(size[0])
        check(self._call("save_memory", handle, ffi.from_buffer(data), len(data), size))
        return bytes(data)

    @classmethod
    def from_bytes(cls, data: Any, *, context: Context | None = None) -> Self:
        context = context or default_context()
        out = ffi.new(f"dum_{cls._noun} **")
        buffer = ffi.from_buffer(data)
        check_called_back(getattr(lib, f"dum_{cls._noun}_load_memory")(context._handle, buffer, len(buffer), out))
        return cls._loaded(cls._own(out[0]), context)

    def _arguments(self) -> tuple[Any, ...]:
        return ()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.fitted:
            return restore, (type(self), self.to_bytes())
        return again, (type(self), self._arguments(), self._options)

    def __repr__(self) -> str:
        if not self._handle:
            return f"<closed {type(self).__name__}>"
        usual = {param.name: param.default for param in self._params}
        changed = [f"{name}={value!r}" for name, value in self.options.items() if value != usual[name]]
        return f"{type(self).__name__}({', '.join([repr(a) for a in self._arguments()] + changed)})"
