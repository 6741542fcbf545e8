# SPDX-License-Identifier: MIT
"""The kinds of scorers and encoders, and the options of both, of heads and of monitors."""

from collections.abc import Callable
from typing import Any, NamedTuple

from dum._context import struct, text
from dum._dum import ffi, lib
from dum._error import check

Option = str | float


class Param(NamedTuple):
    """One option of a head, a monitor, an encoder or a kind of scorer."""

    name: str
    type: str
    """integer, real or text"""
    default: Option
    min: float
    max: float
    choices: tuple[str, ...]
    help: str


def _describe(info: Any) -> Param:
    kind = {1: "integer", 2: "real", 3: "text"}[info.type]
    default: Option
    if kind == "text":
        default = text(info.default_text)
    else:
        default = int(info.default_number) if kind == "integer" else float(info.default_number)
    choices = tuple(text(info.choices).split("|")) if info.choices != ffi.NULL else ()
    return Param(text(info.name), kind, default, info.min, info.max, choices, text(info.help))


def scorer_kinds() -> list[str]:
    """What `Scorer` takes as its kind."""
    return [text(lib.dum_scorer_kind_name(i)) for i in range(lib.dum_scorer_kind_count())]


def _table(count: int, get: Callable[[int, Any], int]) -> list[Param]:
    found = []
    for i in range(count):
        info = struct("dum_param_info")
        check(get(i, info))
        found.append(_describe(info))
    return found


def scorer_params(kind: str) -> list[Param]:
    """The options of a kind of scorer."""
    name = kind.encode()
    # At least one: so an unknown kind is an error.
    return _table(max(lib.dum_scorer_param_count(name), 1), lambda i, info: lib.dum_scorer_param_get(name, i, info))


def head_params() -> list[Param]:
    """The options of a head."""
    return _table(lib.dum_head_param_count(), lib.dum_head_param_get)


def monitor_params() -> list[Param]:
    """The options of a monitor."""
    return _table(lib.dum_monitor_param_count(), lib.dum_monitor_param_get)


def encoder_kinds() -> list[str]:
    """What `Encoder` takes as its kind."""
    return [text(lib.dum_encoder_kind_name(i)) for i in range(lib.dum_encoder_kind_count())]


def encoder_params() -> list[Param]:
    """The options of encoders that are trained: of kinds mlp and resnet."""
    return _table(lib.dum_encoder_param_count(), lib.dum_encoder_param_get)
