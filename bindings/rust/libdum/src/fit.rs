// SPDX-License-Identifier: MIT
use std::fmt;
use std::ops::ControlFlow;
use std::os::raw::c_void;
use std::path::{Path, PathBuf};
use std::{ptr, slice};

use libdum_sys as sys;

use crate::call::{c_path, call, count, guard};
use crate::dataset::BoxError;
use crate::encoder::one_label_each;
use crate::{Dataset, Result};

/// How a fit ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It ran to its end.
    Complete,
    /// The progress closure or `max_seconds` stopped it. What is trained in steps is fitted as far as it got, anything else
    /// is as it was.
    Stopped,
}

/// How far a fit is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Steps of the optimiser that are done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Passes over the data that have begun.
    pub epoch: u64,
    /// Passes in all.
    pub epochs: u64,
    /// The loss of the last step.
    pub loss: f64,
    /// Since the fit began.
    pub seconds: f64,
    /// An estimate.
    pub seconds_left: f64,
}

type ProgressFn<'a> = Box<dyn FnMut(&Progress) -> ControlFlow<()> + 'a>;
type ReduceFn<'a> = Box<dyn FnMut(&mut [f32]) -> Result<(), BoxError> + 'a>;
type CheckpointFn<'a> = Box<dyn FnMut(&[u8]) -> Result<(), BoxError> + 'a>;

unsafe extern "C" fn progress(user: *mut c_void, progress: *const sys::dum_progress) -> i32 {
    guard("progress", 1, || {
        // SAFETY: user is the closure of the fit that runs on this thread, which calls it once at a time.
        let closure = unsafe { &mut *user.cast::<ProgressFn<'_>>() };
        // SAFETY: the library's struct lives during this call.
        let p = unsafe { &*progress };
        let progress = Progress {
            step: p.step as u64,
            steps: p.steps as u64,
            epoch: p.epoch as u64,
            epochs: p.epochs as u64,
            loss: p.loss,
            seconds: p.seconds,
            seconds_left: p.seconds_left,
        };
        Ok(closure(&progress).is_break().into())
    })
}

unsafe extern "C" fn checkpoint(user: *mut c_void, bytes: *const c_void, size: usize) -> i32 {
    guard("checkpoint", 1, || {
        // SAFETY: user is the closure of the fit that runs on this thread, which calls it once at a time.
        let closure = unsafe { &mut *user.cast::<CheckpointFn<'_>>() };
        // SAFETY: the library's bytes live during this call.
        let bytes = unsafe { slice::from_raw_parts(bytes.cast::<u8>(), size) };
        closure(bytes).map_err(|error| error.to_string())?;
        Ok(0)
    })
}

unsafe extern "C" fn reduce(user: *mut c_void, values: *mut f32, number: i64) -> i32 {
    guard("reduce", 1, || {
        // SAFETY: user is the closure of the fit that runs on this thread, which calls it once at a time.
        let closure = unsafe { &mut *user.cast::<ReduceFn<'_>>() };
        // SAFETY: the library's values live during this call, and nobody else looks at them meanwhile.
        let values = unsafe { slice::from_raw_parts_mut(values, count(number)) };
        closure(values).map_err(|error| error.to_string())?;
        Ok(0)
    })
}

/// The options of one fit. Those of the model itself are set by name, before it.
#[derive(Default)]
#[must_use]
pub struct FitOptions<'a> {
    pairs: Option<&'a Dataset<'a>>,
    progress: Option<ProgressFn<'a>>,
    max_seconds: f64,
    warm_start: bool,
    checkpoint_epochs: u32,
    checkpoint_path: Option<PathBuf>,
    checkpoint: Option<CheckpointFn<'a>>,
    resume: bool,
    resume_from: Option<&'a [u8]>,
    labels: Option<&'a [i32]>,
    rank: u32,
    ranks: u32,
    reduce: Option<ReduceFn<'a>>,
}

impl<'a> FitOptions<'a> {
    /// None.
    pub fn new() -> Self {
        FitOptions::default()
    }

    /// Objective "local" only: a second view of each row, in place of the nearest neighbours.
    pub fn pairs(mut self, pairs: &'a Dataset<'a>) -> Self {
        self.pairs = Some(pairs);
        self
    }

    /// Called at least after every step. [`ControlFlow::Break`] stops the fit within a step: [`Outcome::Stopped`]. So does a
    /// panic, and the fit returns [`Error::Callback`](crate::Error::Callback).
    pub fn progress(mut self, closure: impl FnMut(&Progress) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(closure));
        self
    }

    /// Ends the fit as if the progress closure had stopped it; 0: no limit.
    pub fn max_seconds(mut self, seconds: f64) -> Self {
        self.max_seconds = seconds;
        self
    }

    /// What is fitted already keeps its scaling and weights, and trains on from there.
    pub fn warm_start(mut self, warm: bool) -> Self {
        self.warm_start = warm;
        self
    }

    /// Passes over the data between two checkpoints; 0: 1.
    pub fn checkpoint_epochs(mut self, epochs: u32) -> Self {
        self.checkpoint_epochs = epochs;
        self
    }

    /// Where checkpoints are written: all that training needs to go on. A file that cannot be written is logged, and the fit
    /// goes on.
    pub fn checkpoint_path(mut self, path: impl AsRef<Path>) -> Self {
        self.checkpoint_path = Some(path.as_ref().to_path_buf());
        self
    }

    /// What gets the bytes of checkpoints. Where it fails or panics, the fit returns
    /// [`Error::Callback`](crate::Error::Callback).
    pub fn checkpoint(mut self, closure: impl FnMut(&[u8]) -> Result<(), BoxError> + 'a) -> Self {
        self.checkpoint = Some(Box::new(closure));
        self
    }

    /// Goes on from the file at `checkpoint_path` where there is one, else begins.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Goes on from these bytes, which a checkpoint closure got.
    pub fn resume_from(mut self, checkpoint: &'a [u8]) -> Self {
        self.resume_from = Some(checkpoint);
        self
    }

    /// Encoders with objective "supervised", scorers of kinds "mds" and "flow": the class of each row of the data, from 0 on.
    pub fn labels(mut self, labels: &'a [i32]) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Heads, and scorers of kind "dum", trained by several processes or threads together: this is number `rank` of `ranks`.
    /// The closure replaces each value by its sum over all ranks, with the same bits on each. Where it fails or panics, the
    /// fit returns [`Error::Callback`](crate::Error::Callback).
    pub fn share(
        mut self,
        rank: u32,
        ranks: u32,
        reduce: impl FnMut(&mut [f32]) -> Result<(), BoxError> + 'a,
    ) -> Self {
        self.rank = rank;
        self.ranks = ranks;
        self.reduce = Some(Box::new(reduce));
        self
    }

    /// Runs the function that fits to the data.
    pub(crate) fn run(
        mut self,
        data: &Dataset<'_>,
        fit: impl FnOnce(*const sys::dum_fit_options) -> sys::dum_status,
    ) -> Result<Outcome> {
        let path = self.checkpoint_path.as_deref().map(c_path).transpose()?;
        let mut options = sys::dum_fit_options {
            struct_size: std::mem::size_of::<sys::dum_fit_options>(),
            pairs: self.pairs.map_or(ptr::null(), Dataset::get),
            max_seconds: self.max_seconds,
            warm_start: self.warm_start.into(),
            checkpoint_epochs: i32::try_from(self.checkpoint_epochs).unwrap_or(i32::MAX),
            checkpoint_path: path.as_ref().map_or(ptr::null(), |path| path.as_ptr()),
            resume: self.resume.into(),
            rank: i32::try_from(self.rank).unwrap_or(i32::MAX),
            ranks: i32::try_from(self.ranks).unwrap_or(i32::MAX),
            ..Default::default()
        };
        if let Some(closure) = &mut self.progress {
            options.progress = Some(progress);
            options.progress_user = (closure as *mut ProgressFn<'a>).cast();
        }
        if let Some(closure) = &mut self.checkpoint {
            options.checkpoint = Some(checkpoint);
            options.checkpoint_user = (closure as *mut CheckpointFn<'a>).cast();
        }
        if let Some(closure) = &mut self.reduce {
            options.reduce = Some(reduce);
            options.reduce_user = (closure as *mut ReduceFn<'a>).cast();
        }
        if let Some(labels) = self.labels {
            one_label_each(data, labels)?;
            options.labels = labels.as_ptr();
        }
        if let Some(bytes) = self.resume_from {
            options.resume_from = bytes.as_ptr().cast();
            options.resume_size = bytes.len();
        }
        call(|| fit(&options))
    }
}

impl fmt::Debug for FitOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FitOptions")
            .field("pairs", &self.pairs)
            .field("progress", &self.progress.is_some())
            .field("max_seconds", &self.max_seconds)
            .field("warm_start", &self.warm_start)
            .field("checkpoint_epochs", &self.checkpoint_epochs)
            .field("checkpoint_path", &self.checkpoint_path)
            .field("checkpoint", &self.checkpoint.is_some())
            .field("resume", &self.resume)
            .field("resume_from", &self.resume_from.map(<[u8]>::len))
            .field("rank", &self.rank)
            .field("ranks", &self.ranks)
            .field("reduce", &self.reduce.is_some())
            .field("labels", &self.labels.map(<[i32]>::len))
            .finish()
    }
}
