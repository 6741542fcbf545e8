// SPDX-License-Identifier: MIT
//! Statistics of scores: pure functions, for any thread.
//!
//! ```
//! use libdum::stats::{auroc, Interval};
//!
//! let area = auroc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true], &Interval::new())?;
//! assert_eq!(area.value, 0.75);
//! assert!(area.low <= 0.75 && 0.75 <= area.high);
//! # Ok::<(), libdum::Error>(())
//! ```

use libdum_sys as sys;

use crate::call::{check, count, length};
use crate::{Error, Result};

/// How a confidence interval is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Method {
    /// DeLong for [`auroc`], the bootstrap for the others.
    #[default]
    Default,
    /// None: both ends are the value.
    None,
    /// DeLong et al. 1988; [`auroc`] only.
    DeLong,
    /// Resamples within each class, and takes quantiles.
    Bootstrap,
}

/// Options of a confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct Interval {
    confidence: f64,
    method: Method,
    resamples: u32,
    seed: u64,
}

impl Interval {
    /// A confidence of 0.95 by the method that fits.
    pub fn new() -> Interval {
        Interval::default()
    }

    /// No interval: both ends are the value.
    pub fn none() -> Interval {
        Interval::new().method(Method::None)
    }

    /// The confidence; 0: 0.95.
    pub fn confidence(mut self, confidence: f64) -> Interval {
        self.confidence = confidence;
        self
    }

    /// The method.
    pub fn method(mut self, method: Method) -> Interval {
        self.method = method;
        self
    }

    /// How many samples a bootstrap takes; 0: 1000.
    pub fn resamples(mut self, resamples: u32) -> Interval {
        self.resamples = resamples;
        self
    }

    /// The seed of a bootstrap.
    pub fn seed(mut self, seed: u64) -> Interval {
        self.seed = seed;
        self
    }
}

/// A value and its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

type Measure = unsafe extern "C" fn(
    *const f64,
    *const u8,
    i64,
    *const sys::dum_interval_options,
    *mut sys::dum_estimate,
) -> sys::dum_status;

fn estimate(measure: Measure, scores: &[f64], labels: &[bool], interval: &Interval) -> Result<Estimate> {
    if scores.len() != labels.len() {
        return Err(Error::Shape(format!("{} scores and {} labels", scores.len(), labels.len())));
    }
    let method = match interval.method {
        Method::Default => sys::DUM_INTERVAL_DEFAULT,
        Method::None => sys::DUM_INTERVAL_NONE,
        Method::DeLong => sys::DUM_INTERVAL_DELONG,
        Method::Bootstrap => sys::DUM_INTERVAL_BOOTSTRAP,
    };
    let options = sys::dum_interval_options {
        struct_size: std::mem::size_of::<sys::dum_interval_options>(),
        confidence: interval.confidence,
        method: method as i32,
        resamples: i32::try_from(interval.resamples).unwrap_or(i32::MAX),
        seed: interval.seed,
    };
    let mut out =
        sys::dum_estimate { struct_size: std::mem::size_of::<sys::dum_estimate>(), ..Default::default() };
    // SAFETY: both slices are of this length, a bool is a byte that is 0 or 1, and the structs have their sizes.
    check(|| unsafe {
        measure(scores.as_ptr(), labels.as_ptr().cast::<u8>(), length(scores), &options, &mut out)
    })?;
    Ok(Estimate { value: out.value, low: out.low, high: out.high })
}

/// The area under the ROC curve, ties at mid-rank.
pub fn auroc(scores: &[f64], labels: &[bool], interval: &Interval) -> Result<Estimate> {
    estimate(sys::dum_auroc, scores, labels, interval)
}

/// The average precision, as scikit-learn's.
pub fn average_precision(scores: &[f64], labels: &[bool], interval: &Interval) -> Result<Estimate> {
    estimate(sys::dum_average_precision, scores, labels, interval)
}

/// The false-positive rate at the highest threshold whose true-positive rate is at least 0.95.
pub fn fpr95(scores: &[f64], labels: &[bool], interval: &Interval) -> Result<Estimate> {
    estimate(sys::dum_fpr95, scores, labels, interval)
}

/// Which t-test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TTest {
    /// Student's: equal variances.
    Pooled,
    /// Welch's.
    Welch,
}

/// The result of a t-test.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TTestResult {
    /// The statistic.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided; 0 where it underflows.
    pub p: f64,
    /// Right where p underflows.
    pub log10_p: f64,
    /// mean(a) - mean(b).
    pub mean_difference: f64,
    /// The same in pooled standard deviations.
    pub cohens_d: f64,
}

/// A two-sample t-test.
pub fn ttest(a: &[f64], b: &[f64], kind: TTest) -> Result<TTestResult> {
    let kind = match kind {
        TTest::Pooled => sys::DUM_TTEST_POOLED,
        TTest::Welch => sys::DUM_TTEST_WELCH,
    };
    let mut r = sys::dum_ttest_result {
        struct_size: std::mem::size_of::<sys::dum_ttest_result>(),
        ..Default::default()
    };
    // SAFETY: both slices are of these lengths; the struct has its size.
    check(|| unsafe { sys::dum_ttest(a.as_ptr(), length(a), b.as_ptr(), length(b), kind as i32, &mut r) })?;
    Ok(TTestResult {
        t: r.t,
        df: r.df,
        p: r.p,
        log10_p: r.log10_p,
        mean_difference: r.mean_difference,
        cohens_d: r.cohens_d,
    })
}

/// How tests may depend on each other, for [`false_discoveries`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fdr {
    /// p-values that are independent or positively dependent (Benjamini & Hochberg), or e-values (Wang & Ramdas).
    Plain,
    /// p-values, however dependent (Benjamini & Yekutieli).
    Any,
}

/// Which of several tests have found something, so that of those named, a share of at most `rate` is expected to be false.
/// `evidence`: -log10 p, or log10 e with [`Fdr::Plain`].
pub fn false_discoveries(evidence: &[f64], rate: f64, method: Fdr) -> Result<Vec<bool>> {
    let method = match method {
        Fdr::Plain => sys::DUM_FDR_PLAIN,
        Fdr::Any => sys::DUM_FDR_ANY,
    };
    let mut found = vec![0u8; evidence.len()];
    let mut number = 0;
    // SAFETY: both are of this length.
    check(|| unsafe {
        sys::dum_false_discoveries(
            evidence.as_ptr(),
            length(evidence),
            rate,
            method as i32,
            found.as_mut_ptr(),
            &mut number,
        )
    })?;
    debug_assert_eq!(count(number), found.iter().filter(|&&one| one != 0).count());
    Ok(found.into_iter().map(|one| one != 0).collect())
}
