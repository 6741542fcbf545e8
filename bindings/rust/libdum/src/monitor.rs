// SPDX-License-Identifier: MIT
use std::fmt;

use libdum_sys as sys;

use crate::call::{check, count, direct, length};
use crate::handle::Handle;
use crate::model::model_file;
use crate::params::{options, table};
use crate::{Context, Dataset, Param, Result, Rows, Scorer};

/// An alarm on the scores of a deployed model: is what comes still like the reference?
///
/// Any number of threads may push, read, reset and save at once; they take turns by a lock.
///
/// ```
/// use libdum::{Context, Monitor};
///
/// let reference: Vec<f64> = (0..5000).map(|i| (i as f64 * 0.7).sin()).collect();
/// let mut monitor = Monitor::new(&Context::new()?)?.with("test", "cusum")?.with("false_alarms", 10)?;
/// monitor.fit_scores(&reference)?;
/// assert!(!monitor.push_scores(&reference[..100])?);
/// assert!(monitor.push_scores(&[2.0; 200])?); // an alarm
/// let state = monitor.read()?;
/// assert!(state.alarm && state.alarm_row > Some(100));
/// # Ok::<(), libdum::Error>(())
/// ```
pub struct Monitor {
    handle: Handle<sys::dum_monitor>,
}

/// The state of a [`Monitor`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct MonitorState {
    /// Rows pushed since fit.
    pub rows: u64,
    /// Those of them that were not finite.
    pub bad_rows: u64,
    /// Those of them that the test saw.
    pub used_rows: u64,
    /// How often the latest score has come in a row.
    pub repeats: u64,
    /// Alarms since fit.
    pub alarms: u64,
    /// The number, from 1, of the row with which the latest alarm began.
    pub alarm_row: Option<u64>,
    /// Whether an alarm holds: it does until reset.
    pub alarm: bool,
    /// Of the test: -log10 p of the latest full window; a log10 for "martingale"; a score for "pot".
    pub statistic: f64,
    /// Where it alarms.
    pub threshold: f64,
    /// Rows of the reference, after thinning.
    pub reference_rows: u64,
    /// Of the reference's scores.
    pub reference_mean: f64,
    /// Of the reference's scores.
    pub reference_sd: f64,
    /// The latest rows, at most a window, since fit or reset, which what follows describes; NaN where there are fewer than 2.
    pub window_rows: u64,
    /// Of the window's scores.
    pub mean: f64,
    /// Of the window's scores.
    pub quantile_05: f64,
    /// Of the window's scores.
    pub median: f64,
    /// Of the window's scores.
    pub quantile_95: f64,
    /// Of the t-test of the window against the reference.
    pub t: f64,
    /// Two-sided.
    pub log10_p: f64,
    /// The difference of means, in pooled standard deviations.
    pub cohens_d: f64,
    /// Window against reference: 0.5 = alike.
    pub auroc: f64,
}

/// One of the rows that weigh most in a [`Monitor`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TopRow {
    /// Its number, from 1; none where it is from a file of before numbers were kept.
    pub row: Option<u64>,
    /// Its score.
    pub score: f64,
}

fn number(row: i64) -> Option<u64> {
    u64::try_from(row).ok().filter(|&row| row > 0)
}

impl Monitor {
    fn adopt(handle: Handle<sys::dum_monitor>) -> Monitor {
        Monitor { handle }
    }

    /// A monitor with the default options.
    pub fn new(context: &Context) -> Result<Monitor> {
        // SAFETY: passes the pointers on.
        Handle::create(context, |context, out| unsafe { sys::dum_monitor_create(context, out) })
            .map(Monitor::adopt)
    }

    /// The options that a monitor has.
    pub fn params() -> Result<Vec<Param>> {
        // SAFETY: takes nothing.
        let number = unsafe { sys::dum_monitor_param_count() };
        // SAFETY: table gives a struct that lives during the call and has its size.
        table(number, |index, info| unsafe { sys::dum_monitor_param_get(index, info) })
    }

    options!(dum_monitor_set_number, dum_monitor_set_text, dum_monitor_get_number, dum_monitor_get_text);
    model_file!(dum_monitor_save, dum_monitor_load, dum_monitor_save_memory, dum_monitor_load_memory);

    /// Takes the scores of rows that are known to be normal and were not trained on. A fitted monitor begins anew.
    pub fn fit(&mut self, scorer: &Scorer, reference: &Dataset<'_>) -> Result<()> {
        // SAFETY: the handle is needed for the call alone: &mut self. The others live during it.
        check(|| unsafe { sys::dum_monitor_fit(self.handle.get_mut(), scorer.get(), reference.get()) })
    }

    /// The same from scores of any origin.
    pub fn fit_scores(&mut self, scores: &[f64]) -> Result<()> {
        // SAFETY: the handle is needed for the call alone: &mut self. The scores are of this length.
        check(|| unsafe {
            sys::dum_monitor_fit_scores(self.handle.get_mut(), scores.as_ptr(), length(scores))
        })
    }

    /// Pushes scores, which enter together, and says whether an alarm holds afterwards.
    pub fn push_scores(&self, scores: &[f64]) -> Result<bool> {
        let mut alarm = 0;
        // SAFETY: the scores are of this length. Pushing is for any threads at once, though not const: dum.h says so.
        direct(|| unsafe {
            sys::dum_monitor_push_scores(
                self.handle.get_shared(),
                scores.as_ptr(),
                length(scores),
                &mut alarm,
            )
        })?;
        Ok(alarm != 0)
    }

    /// Scores rows and pushes their scores, 256 at a time. The scorer must be the one of the fit.
    pub fn push_rows<'r>(&self, scorer: &Scorer, rows: impl Into<Rows<'r>>) -> Result<bool> {
        let rows = rows.into();
        let mut alarm = 0;
        // SAFETY: the rows lie within a slice. Pushing is for any threads at once, though not const: dum.h says so.
        check(|| unsafe {
            sys::dum_monitor_push_rows(
                self.handle.get_shared(),
                scorer.get(),
                rows.as_ptr(),
                rows.c_rows(),
                rows.c_cols(),
                rows.c_stride(),
                &mut alarm,
            )
        })?;
        Ok(alarm != 0)
    }

    /// Reads the state.
    pub fn read(&self) -> Result<MonitorState> {
        let mut s = sys::dum_monitor_state {
            struct_size: std::mem::size_of::<sys::dum_monitor_state>(),
            ..Default::default()
        };
        // SAFETY: the state lives during the call and has its size.
        check(|| unsafe { sys::dum_monitor_read(self.handle.get(), &mut s) })?;
        Ok(MonitorState {
            rows: s.rows as u64,
            bad_rows: s.bad_rows as u64,
            used_rows: s.used_rows as u64,
            repeats: s.repeats as u64,
            alarms: s.alarms as u64,
            alarm_row: number(s.alarm_row),
            alarm: s.alarm != 0,
            statistic: s.statistic,
            threshold: s.threshold,
            reference_rows: s.reference_rows as u64,
            reference_mean: s.reference_mean,
            reference_sd: s.reference_sd,
            window_rows: s.window_rows as u64,
            mean: s.mean,
            quantile_05: s.quantile_05,
            median: s.median,
            quantile_95: s.quantile_95,
            t: s.t,
            log10_p: s.log10_p,
            cohens_d: s.cohens_d,
            auroc: s.auroc,
        })
    }

    /// The rows that weigh most: the highest scores of the latest window, highest first, at most `most` (1 to 100).
    pub fn top(&self, most: usize) -> Result<Vec<TopRow>> {
        let room = most.min(100);
        let (mut rows, mut scores, mut found) = (vec![0; room], vec![0.0; room], 0);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        // SAFETY: there is room for `most`; the library refuses more than 100.
        check(|| unsafe {
            sys::dum_monitor_read_top(
                self.handle.get(),
                most,
                rows.as_mut_ptr(),
                scores.as_mut_ptr(),
                &mut found,
            )
        })?;
        let rows = rows.into_iter().zip(scores).take(count(found));
        Ok(rows.map(|(row, score)| TopRow { row: number(row), score }).collect())
    }

    /// Ends an alarm: the window is empty and the statistic starts from zero; counts go on.
    pub fn reset(&self) -> Result<()> {
        // SAFETY: reset is for any threads at once, though not const: dum.h says so.
        check(|| unsafe { sys::dum_monitor_reset(self.handle.get_shared()) })
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("state", &self.read().ok()).finish_non_exhaustive()
    }
}
