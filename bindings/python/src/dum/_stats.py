# SPDX-License-Identifier: MIT
"""The statistics of dum.h, and the product of experts, on NumPy arrays."""

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dum._array import DOUBLES, FLOATS, doubles, narrow, plain
from dum._dum import ffi, lib
from dum._error import check

Method = Literal["default", "none", "delong", "bootstrap"]
_METHODS = ["default", "none", "delong", "bootstrap"]


class Estimate(NamedTuple):
    """A value and its confidence interval."""

    value: float
    low: float
    high: float


class TTest(NamedTuple):
    t: float
    df: float
    p: float
    log10_p: float
    mean_difference: float
    cohens_d: float


def _estimate(
    function: Any, scores: Any, labels: Any, confidence: float, method: str, resamples: int, seed: int
) -> Estimate:
    s = doubles(scores, "scores")
    given = np.asarray(plain(labels))
    if given.shape != s.shape:
        raise ValueError(f"labels have the shape {given.shape}, expected that of the scores, {s.shape}")
    if not np.isin(given, (0, 1)).all():
        raise ValueError("labels must be 0 or 1 (1: anomalous)")
    y = np.ascontiguousarray(given, dtype=np.uint8)
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}, expected one of {', '.join(_METHODS)}")
    options = ffi.new("dum_interval_options *")
    options.struct_size = ffi.sizeof("dum_interval_options")
    options.confidence, options.method = confidence, _METHODS.index(method)
    options.resamples, options.seed = resamples, seed
    out = ffi.new("dum_estimate *")
    out.struct_size = ffi.sizeof("dum_estimate")
    check(function(ffi.from_buffer(DOUBLES, s), ffi.from_buffer("uint8_t[]", y), s.size, options, out))
    return Estimate(out.value, out.low, out.high)


def auroc(
    scores: Any,
    labels: Any,
    *,
    confidence: float = 0.95,
    method: Method = "default",
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Area under the ROC curve. Scores: higher = positive (label 1). Interval: DeLong by default."""
    return _estimate(lib.dum_auroc, scores, labels, confidence, method, resamples, seed)


def average_precision(
    scores: Any,
    labels: Any,
    *,
    confidence: float = 0.95,
    method: Method = "default",
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Average precision. Scores: higher = positive (label 1). Interval: bootstrap by default."""
    return _estimate(lib.dum_average_precision, scores, labels, confidence, method, resamples, seed)


def fpr95(
    scores: Any,
    labels: Any,
    *,
    confidence: float = 0.95,
    method: Method = "default",
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """False-positive rate where 95 % of the positives are found. Interval: bootstrap by default."""
    return _estimate(lib.dum_fpr95, scores, labels, confidence, method, resamples, seed)


def ttest(a: Any, b: Any, *, kind: Literal["pooled", "welch"] = "pooled") -> TTest:
    """Two-sample t-test, Student's or Welch's."""
    if kind not in ("pooled", "welch"):
        raise ValueError(f"kind is {kind!r}, expected pooled or welch")
    first, second = doubles(a, "a"), doubles(b, "b")
    out = ffi.new("dum_ttest_result *")
    out.struct_size = ffi.sizeof("dum_ttest_result")
    buffers = ffi.from_buffer(DOUBLES, first), ffi.from_buffer(DOUBLES, second)
    check(lib.dum_ttest(buffers[0], first.size, buffers[1], second.size, int(kind == "welch"), out))
    return TTest(out.t, out.df, out.p, out.log10_p, out.mean_difference, out.cohens_d)


def false_discoveries(
    evidence: Any, rate: float, *, method: Literal["plain", "any"] = "plain"
) -> npt.NDArray[np.bool_]:
    """Which of several tests have found something, so that of those named, a share of at most `rate` is expected to be
    false. `evidence`: -log10 p; "any" where the p-values may depend on each other in any way (Benjamini & Yekutieli, else
    Benjamini & Hochberg); or log10 e with "plain" (e-BH). For monitors: docs/monitor.md."""
    if method not in ("plain", "any"):
        raise ValueError(f"method is {method!r}, expected plain or any")
    given = doubles(evidence, "evidence")
    found = np.zeros(given.size, dtype=np.uint8)
    buffers = ffi.from_buffer(DOUBLES, given), ffi.from_buffer("uint8_t[]", found)
    how = lib.DUM_FDR_PLAIN if method == "plain" else lib.DUM_FDR_ANY
    check(lib.dum_false_discoveries(buffers[0], given.size, rate, how, buffers[1], ffi.new("int64_t *")))
    return found.view(np.bool_)


def product_of_experts(means: Any, log_variances: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Joins m Gaussians into one: means (m x cols) and log-variances (m x cols, or m where one holds for all
    columns) to the mean (cols) and log-variance (cols, or 1)."""
    mu, s = narrow(np.asarray(plain(means))), narrow(np.asarray(plain(log_variances)))
    if mu.ndim != 2:
        raise ValueError(f"means: expected a 2-dimensional array; this one has {mu.ndim} dimension(s)")
    m, cols = mu.shape
    if s.shape == (m, cols):
        covariance, width = lib.DUM_COVARIANCE_DIAGONAL, cols
    elif s.shape in ((m,), (m, 1)):
        covariance, width = lib.DUM_COVARIANCE_CIRCULAR, 1
    else:
        raise ValueError(f"log_variances have the shape {s.shape}, expected ({m}, {cols}) or ({m},)")
    mean, log_variance = np.empty(cols, dtype=np.float32), np.empty(width, dtype=np.float32)
    check(
        lib.dum_product_of_experts(
            ffi.from_buffer(FLOATS, mu),
            ffi.from_buffer(FLOATS, s),
            m,
            cols,
            covariance,
            ffi.from_buffer(FLOATS, mean),
            ffi.from_buffer(FLOATS, log_variance),
        )
    )
    return mean, log_variance
