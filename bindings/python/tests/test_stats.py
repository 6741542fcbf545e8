# SPDX-License-Identifier: MIT
"""The statistics, against scikit-learn and SciPy."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

import dum

rng = np.random.default_rng(1)
LABELS = rng.integers(0, 2, 300)
SCORES = np.round(rng.normal(size=300) + LABELS, 1)


def test_auroc():
    area = dum.auroc(SCORES, LABELS)
    assert area.value == pytest.approx(roc_auc_score(LABELS, SCORES), abs=1e-12)
    assert area.low < area.value < area.high
    assert dum.auroc(SCORES, LABELS, method="none").low == area.value
    assert dum.auroc(SCORES, LABELS, confidence=0.5).low > area.low
    assert dum.auroc(SCORES.tolist(), LABELS == 1).value == area.value


def test_average_precision_and_fpr95():
    assert dum.average_precision(SCORES, LABELS).value == pytest.approx(average_precision_score(LABELS, SCORES))
    false, found, _ = roc_curve(LABELS, SCORES, drop_intermediate=False)
    assert dum.fpr95(SCORES, LABELS, resamples=100, seed=3).value == pytest.approx(false[found >= 0.95][0])


def test_ttest():
    a, b = SCORES[LABELS == 1], SCORES[LABELS == 0]
    for kind, equal in (("pooled", True), ("welch", False)):
        ours, theirs = dum.ttest(a, b, kind=kind), scipy.stats.ttest_ind(a, b, equal_var=equal)
        assert ours.t == pytest.approx(theirs.statistic)
        assert ours.p == pytest.approx(theirs.pvalue)
        assert ours.df == pytest.approx(theirs.df)


def test_refusals():
    for call, message in [
        (lambda: dum.auroc(SCORES, LABELS[:-1]), "shape"),
        (lambda: dum.auroc(SCORES, LABELS + 256), "0 or 1"),
        (lambda: dum.auroc(SCORES, np.zeros(300)), "label"),
        (lambda: dum.auroc(np.where(LABELS, np.nan, 1.0), LABELS), "NaN"),
        (lambda: dum.auroc(SCORES, LABELS, method="best"), "bootstrap"),
        (lambda: dum.auroc(SCORES.reshape(30, 10), LABELS), "1-dimensional"),
        (lambda: dum.ttest([1.0], []), "n_b"),
        (lambda: dum.ttest([1.0], [2.0], kind="other"), "welch"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(("method", "scipys"), [("plain", "bh"), ("any", "by")])
def test_false_discoveries(method, scipys):
    rng = np.random.default_rng(0)
    p = np.r_[rng.uniform(size=40), rng.uniform(size=10) * 1e-3, 1e-320]
    found = dum.false_discoveries(-np.log10(p), 0.1, method=method)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, scipy.stats.false_discovery_control(p, method=scipys) <= 0.1)
    assert 5 < found.sum() < 20
    for bad in ({"rate": 0}, {"rate": 0.1, "method": "some"}):
        with pytest.raises(ValueError, match=r"rate|method"):
            dum.false_discoveries([1.0], **bad)
    with pytest.raises(dum.NonfiniteError):
        dum.false_discoveries([np.nan], 0.1)
