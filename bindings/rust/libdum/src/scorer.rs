// SPDX-License-Identifier: MIT
use std::fmt;
use std::sync::Arc;

use libdum_sys as sys;

use crate::call::{c_text, check, count, direct, length, text};
use crate::encoder::Embedder;
use crate::handle::Handle;
use crate::model::model_file;
use crate::params::{options, table};
use crate::{Context, Dataset, Encoder, Error, FitOptions, Outcome, Param, Result, Rows};

/// Anything that gives each row one number: higher = more anomalous.
///
/// ```
/// use libdum::{Context, Dataset, Scorer};
///
/// let context = Context::new()?;
/// let normal: Vec<[f32; 2]> = (0..500).map(|i| [(i as f32).sin(), (i as f32).cos()]).collect();
/// let mut scorer = Scorer::new(&context, "knn")?.with("neighbours", 5)?.with("holdout", 0.2)?;
/// scorer.fit(&Dataset::from_rows(&context, &normal)?)?;
///
/// let threshold = scorer.threshold(0.05)?; // at most 1 false alarm in 20 normal rows
/// assert!(scorer.score_row(&[3.0, 3.0])? > threshold);
/// # Ok::<(), libdum::Error>(())
/// ```
///
/// Any number of threads may score at once; what changes a scorer needs it alone:
///
/// ```compile_fail,E0596
/// # let context = libdum::Context::new().unwrap();
/// let scorer = std::sync::Arc::new(libdum::Scorer::new(&context, "knn").unwrap());
/// scorer.set("neighbours", 5);
/// ```
///
/// ```compile_fail,E0502
/// # fn fit(scorer: &mut libdum::Scorer, data: &libdum::Dataset<'_>) {
/// std::thread::scope(|threads| {
///     threads.spawn(|| scorer.score_row(&[1.0, 2.0]));
///     scorer.fit(data).unwrap();
/// });
/// # }
/// ```
pub struct Scorer {
    handle: Handle<sys::dum_scorer>,
    /// Of the encoder, which the library's scorer keeps: its context, and its closure where it is one. After the handle, which
    /// uses them.
    encoder: Option<(Context, Option<Arc<Embedder>>)>,
}

impl Scorer {
    fn adopt(handle: Handle<sys::dum_scorer>) -> Scorer {
        Scorer { handle, encoder: None }
    }

    /// A scorer of one of the [`kinds`](Scorer::kinds), with the default options.
    pub fn new(context: &Context, kind: &str) -> Result<Scorer> {
        let kind = c_text("the kind", kind)?;
        // SAFETY: the kind lives during the call.
        Handle::create(context, |context, out| unsafe { sys::dum_scorer_create(context, kind.as_ptr(), out) })
            .map(Scorer::adopt)
    }

    /// The kinds that the library knows.
    pub fn kinds() -> Vec<&'static str> {
        // SAFETY: takes nothing.
        let number = unsafe { sys::dum_scorer_kind_count() };
        // SAFETY: the texts are static.
        (0..number).filter_map(|index| unsafe { text(sys::dum_scorer_kind_name(index)) }).collect()
    }

    /// The options that scorers of a kind have.
    pub fn params(kind: &str) -> Result<Vec<Param>> {
        let kind = c_text("the kind", kind)?;
        // SAFETY: the kind lives during the call.
        let number = unsafe { sys::dum_scorer_param_count(kind.as_ptr()) };
        if number == 0 && !Scorer::kinds().iter().any(|known| known.as_bytes() == kind.as_bytes()) {
            // Of an unknown kind, there is not even the first: this says which are known.
            let mut info = sys::dum_param_info {
                struct_size: std::mem::size_of::<sys::dum_param_info>(),
                ..Default::default()
            };
            // SAFETY: kind and info live during the call.
            check(|| unsafe { sys::dum_scorer_param_get(kind.as_ptr(), 0, &mut info) })?;
        }
        // SAFETY: table gives a struct that lives during the call and has its size.
        table(number, |index, info| unsafe { sys::dum_scorer_param_get(kind.as_ptr(), index, info) })
    }

    /// The kind of this scorer.
    pub fn kind(&self) -> &'static str {
        // SAFETY: the handle lives as long as self; names of kinds are static.
        unsafe { text(sys::dum_scorer_kind(self.handle.get())) }.unwrap_or_default()
    }

    options!(dum_scorer_set_number, dum_scorer_set_text, dum_scorer_get_number, dum_scorer_get_text);
    model_file!(dum_scorer_save, dum_scorer_load, dum_scorer_save_memory, dum_scorer_load_memory);

    /// Puts an encoder below the scorer, before fit; by default it is "identity". The scorer then takes the encoder's inputs, and
    /// its model file holds the encoder, but for a closure: a scorer that was loaded gets that by this call.
    ///
    /// The scorer keeps the encoder, with the options that it has now, and only reads it: any threads may put it below scorers
    /// of theirs and embed with it meanwhile. While it is below a scorer it cannot be trained:
    ///
    /// ```
    /// use libdum::{Context, Dataset, Encoder, Error, Scorer};
    ///
    /// let context = Context::new()?;
    /// let rows: Vec<[f32; 3]> = (0..60).map(|i| [i as f32, (i * i % 17) as f32, (i % 5) as f32]).collect();
    /// let data = Dataset::from_rows(&context, &rows)?;
    /// let mut encoder = Encoder::new(&context, "mlp")?.with("units", 4)?.with("embedding", 2)?.with("epochs", 1)?;
    /// encoder.fit(&data)?;
    ///
    /// let mut scorer = Scorer::new(&context, "knn")?;
    /// scorer.set_encoder(&encoder)?;
    /// scorer.fit(&data)?;
    /// let score = scorer.score_row(&rows[0])?;
    /// assert!(matches!(encoder.fit(&data), Err(Error::State(_))));
    /// encoder.set("output", "projection")?; // for the next scorer: this one goes on as before
    /// assert_eq!(scorer.score_row(&rows[0])?, score);
    /// drop(scorer);
    /// encoder.fit(&data)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_encoder(&mut self, encoder: &Encoder) -> Result<()> {
        // SAFETY: the scorer's handle is needed for the call alone: &mut self. Of the encoder dum.h says that others may use it
        // meanwhile as const.
        check(|| unsafe { sys::dum_scorer_set_encoder(self.handle.get_mut(), encoder.handle.get_shared()) })?;
        self.encoder = Some((encoder.handle.context().clone(), encoder.embedder.clone()));
        Ok(())
    }

    /// Fits to a dataset. With option "holdout", that share of the rows is kept out of training and calibrates the scorer.
    pub fn fit(&mut self, data: &Dataset<'_>) -> Result<()> {
        self.fit_with(data, FitOptions::new()).map(drop)
    }

    /// Fits to a dataset, with options. On an error the scorer is as it was, unless it is that of a closure that panicked.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use libdum::{Context, Dataset, FitOptions, Outcome, Scorer};
    ///
    /// # let context = Context::new()?;
    /// # let rows: Vec<[f32; 2]> = (0..200).map(|i| [(i as f32).sin(), (i as f32).cos()]).collect();
    /// # let data = Dataset::from_rows(&context, &rows)?;
    /// let mut scorer = Scorer::new(&context, "dum")?;
    /// let options = FitOptions::new().progress(|progress| {
    ///     println!("step {} of {}: loss {}", progress.step, progress.steps, progress.loss);
    ///     if progress.step < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// });
    /// assert_eq!(scorer.fit_with(&data, options)?, Outcome::Stopped);
    /// scorer.score_row(&[0.5, 0.5])?; // fitted as far as it got
    /// # Ok::<(), libdum::Error>(())
    /// ```
    pub fn fit_with(&mut self, data: &Dataset<'_>, options: FitOptions<'_>) -> Result<Outcome> {
        // SAFETY: the handle is needed for the call alone: &mut self. The data live during it, and so do the options.
        options
            .run(data, |options| unsafe { sys::dum_scorer_fit(self.handle.get_mut(), data.get(), options) })
    }

    /// Columns of the input; 0 before fit.
    pub fn cols(&self) -> usize {
        // SAFETY: the handle lives as long as self.
        count(unsafe { sys::dum_scorer_cols(self.handle.get()) })
    }

    /// Whether it is fitted.
    pub fn is_fitted(&self) -> bool {
        self.cols() > 0
    }

    /// The name of an input column, where the training data had one.
    pub fn feature_name(&self, col: usize) -> Option<&str> {
        let col = i32::try_from(col).ok()?;
        // SAFETY: the text lives until the scorer ends or is fitted again, which needs &mut self.
        unsafe { text(sys::dum_scorer_feature_name(self.handle.get(), col)) }
    }

    /// The score of one row. No allocation, no lock.
    pub fn score_row(&self, row: &[f32]) -> Result<f64> {
        let mut score = 0.0;
        self.score_into(Rows::row(row)?, std::slice::from_mut(&mut score))?;
        Ok(score)
    }

    /// The scores of rows. A row's score does not depend on the rows beside it.
    pub fn score<'r>(&self, rows: impl Into<Rows<'r>>) -> Result<Vec<f64>> {
        let rows = rows.into();
        let mut scores = vec![0.0; rows.len()];
        self.score_into(rows, &mut scores)?;
        Ok(scores)
    }

    /// The scores of rows, into a slice of as many.
    pub fn score_into<'r>(&self, rows: impl Into<Rows<'r>>, scores: &mut [f64]) -> Result<()> {
        let rows = rows.into();
        if scores.len() != rows.len() {
            return Err(Error::Shape(format!("room for {} scores of {} rows", scores.len(), rows.len())));
        }
        // SAFETY: the rows lie within a slice; there is room for their scores.
        let score = || unsafe {
            sys::dum_scorer_score(
                self.handle.get(),
                rows.as_ptr(),
                rows.c_rows(),
                rows.c_cols(),
                rows.c_stride(),
                scores.as_mut_ptr(),
            )
        };
        match self.encoder {
            Some((_, Some(_))) => check(score), // it calls back
            _ => direct(score),
        }
    }

    /// The scores of all rows of a dataset, which is streamed.
    pub fn score_dataset(&self, data: &Dataset<'_>) -> Result<Vec<f64>> {
        let mut scores = vec![0.0; data.rows()];
        // SAFETY: both handles live during the call; there is room for the scores.
        check(|| unsafe {
            sys::dum_scorer_score_dataset(self.handle.get(), data.get(), scores.as_mut_ptr())
        })?;
        Ok(scores)
    }

    fn explain_into(&self, rows: Rows<'_>, deviation: Option<&mut [f32]>) -> Result<Vec<f32>> {
        let mut share = vec![0.0; rows.len() * rows.cols()];
        let deviation = deviation.map_or(std::ptr::null_mut(), <[f32]>::as_mut_ptr);
        // SAFETY: the rows lie within a slice; share is as large, and so is deviation, where there is one.
        check(|| unsafe {
            sys::dum_scorer_explain(
                self.handle.get(),
                rows.as_ptr(),
                rows.c_rows(),
                rows.c_cols(),
                rows.c_stride(),
                share.as_mut_ptr(),
                deviation,
            )
        })?;
        Ok(share)
    }

    /// Each feature's share of each row's score, one row after the other; those of a row sum to 1. Not every kind can.
    pub fn explain<'r>(&self, rows: impl Into<Rows<'r>>) -> Result<Vec<f32>> {
        self.explain_into(rows.into(), None)
    }

    /// Kind "dum": the predicted standard deviation of each feature, in the feature's own unit, one row after the other.
    pub fn deviation<'r>(&self, rows: impl Into<Rows<'r>>) -> Result<Vec<f32>> {
        let rows = rows.into();
        let mut deviation = vec![0.0; rows.len() * rows.cols()];
        self.explain_into(rows, Some(&mut deviation))?;
        Ok(deviation)
    }

    /// Scores rows that are known to be normal and were not trained on, and keeps the scores, for
    /// [`threshold`](Scorer::threshold) and [`p_values`](Scorer::p_values).
    pub fn calibrate(&mut self, held_out: &Dataset<'_>) -> Result<()> {
        // SAFETY: the handle is needed for the call alone: &mut self. The data live during it.
        check(|| unsafe { sys::dum_scorer_calibrate(self.handle.get_mut(), held_out.get()) })
    }

    /// How many calibration scores there are.
    pub fn calibration_count(&self) -> usize {
        // SAFETY: the handle lives as long as self.
        count(unsafe { sys::dum_scorer_calibration_count(self.handle.get()) })
    }

    /// What a new normal row scores above with at most this probability (split conformal).
    pub fn threshold(&self, false_alarm_rate: f64) -> Result<f64> {
        let mut threshold = 0.0;
        // SAFETY: the handle lives as long as self, threshold during the call.
        check(|| unsafe { sys::dum_scorer_threshold(self.handle.get(), false_alarm_rate, &mut threshold) })?;
        Ok(threshold)
    }

    /// Conformal p-values of scores: how usual such a score is among normal rows.
    pub fn p_values(&self, scores: &[f64]) -> Result<Vec<f64>> {
        let mut p = vec![0.0; scores.len()];
        // SAFETY: scores and p are of this length.
        check(|| unsafe {
            sys::dum_scorer_pvalue(self.handle.get(), scores.as_ptr(), length(scores), p.as_mut_ptr())
        })?;
        Ok(p)
    }

    pub(crate) fn get(&self) -> *const sys::dum_scorer {
        self.handle.get()
    }
}

impl fmt::Debug for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scorer")
            .field("kind", &self.kind())
            .field("cols", &self.cols())
            .field("calibration_count", &self.calibration_count())
            .finish_non_exhaustive()
    }
}
