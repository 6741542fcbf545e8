# SPDX-License-Identifier: MIT
"""The alarm on a deployed model."""

from typing import Any, NamedTuple, Self

from dum._array import DOUBLES, doubles
from dum._context import Context, struct
from dum._dataset import Dataset, by_blocks
from dum._dum import ffi, lib
from dum._error import check, check_called_back
from dum._handle import Handle
from dum._model import Scorer
from dum._params import Option, Param, monitor_params


class MonitorState(NamedTuple):
    """The state of a monitor. From `window_rows` on it describes the latest rows, at most a window, since fit or reset;
    NaN where there are fewer than 2."""

    rows: int
    """pushed since fit"""
    bad_rows: int
    """of them, not finite"""
    used_rows: int
    """of them, seen by the test"""
    repeats: int
    """how often the latest score has come in a row"""
    alarms: int
    """since fit"""
    alarm_row: int | None
    """number, from 1, of the row with which the latest alarm began"""
    alarm: bool
    """whether an alarm holds: it does until reset"""
    statistic: float
    """of the test: -log10 p of the latest full window; martingale: a log10; pot: a score"""
    threshold: float
    """where it alarms"""
    reference_rows: int
    """after thinning"""
    reference_mean: float
    reference_sd: float
    window_rows: int
    mean: float
    quantile_05: float
    median: float
    quantile_95: float
    t: float
    """of the t-test of the window against the reference"""
    log10_p: float
    cohens_d: float
    auroc: float
    """window against reference: 0.5 = alike"""


class TopRow(NamedTuple):
    """One of the rows that weigh most."""

    row: int | None
    """its number, from 1; None where it is from a file of before numbers were kept"""
    score: float


def _scorer(scorer: Any) -> Scorer:
    if not isinstance(scorer, Scorer):
        hint = ": scorer_ is a detector's" if hasattr(scorer, "scorer_") else ""
        raise TypeError(f"scorer is {scorer!r}, expected a dum.Scorer{hint}")
    return scorer


class Monitor(Handle):
    """An alarm on the scores of a deployed model: is what comes still like the reference? Options: docs/monitor.md. Any
    number of threads may push, read, reset and save at once; they take turns by a lock."""

    _noun = "monitor"

    def __init__(self, *, context: Context | None = None, **options: Option) -> None:
        super().__init__(monitor_params(), options, context)

    def _create(self, out: Any) -> int:
        return int(lib.dum_monitor_create(self._context._handle, out))

    def _table(self) -> list[Param]:
        return monitor_params()

    @property
    def fitted(self) -> bool:
        return bool(lib.dum_monitor_read(self._handle, struct("dum_monitor_state")) == 0)

    def fit(self, scorer: Scorer, reference: Any) -> Self:
        """Takes the scores of rows that are known to be normal and were not trained on. A fitted monitor begins anew."""
        scorer = _scorer(scorer)
        data = reference if isinstance(reference, Dataset) else Dataset(reference, context=self._context)
        handle = self._fresh()
        check_called_back(lib.dum_monitor_fit(handle, scorer._handle, data._handle))
        self._handle = handle
        return self

    def fit_scores(self, scores: Any) -> Self:
        """The same from scores of any origin."""
        numbers = doubles(scores, "scores")
        handle = self._fresh()
        check(lib.dum_monitor_fit_scores(handle, ffi.from_buffer(DOUBLES, numbers), numbers.size))
        self._handle = handle
        return self

    def push_scores(self, scores: Any) -> bool:
        """Pushes scores (or one), which enter together, and says whether an alarm holds afterwards. NaN and infinities
        are counted as bad rows and otherwise ignored."""
        numbers = doubles(scores, "scores")
        alarm = ffi.new("int32_t *")
        check(lib.dum_monitor_push_scores(self._handle, ffi.from_buffer(DOUBLES, numbers), numbers.size, alarm))
        return bool(alarm[0])

    def push_rows(self, scorer: Scorer, x: Any) -> bool:
        """Scores rows and pushes their scores, 256 at a time: these enter together. The scorer must be the one of the
        fit. Rows with NaN or infinity are bad rows, unless the scorer imputes. After an error, the rows before those
        256 have been pushed."""
        rows, handle, below = _scorer(scorer)._source(x), self._handle, scorer._handle
        alarm = ffi.new("int32_t *")
        # Blocks of a multiple of 256: the library's own, so that the same rows enter together.
        by_blocks(rows, lambda *block: lib.dum_monitor_push_rows(handle, below, *block, alarm), few=256)
        return bool(alarm[0])

    def read(self) -> MonitorState:
        """Reads the state."""
        state = struct("dum_monitor_state")
        check(lib.dum_monitor_read(self._handle, state))
        found = {name: getattr(state, name) for name in MonitorState._fields}
        return MonitorState(**{**found, "alarm_row": state.alarm_row or None, "alarm": bool(state.alarm)})

    def top(self, most: int = 5) -> list[TopRow]:
        """The rows that weigh most: the highest scores of the latest window, highest first, at most `most` (1 to 100)."""
        rows, scores, count = ffi.new("int64_t[100]"), ffi.new("double[100]"), ffi.new("int64_t *")
        check(lib.dum_monitor_read_top(self._handle, most, rows, scores, count))
        return [TopRow(rows[i] or None, scores[i]) for i in range(count[0])]

    def reset(self) -> None:
        """Ends an alarm: the window is empty and the statistic starts from zero; counts go on."""
        check(lib.dum_monitor_reset(self._handle))
