// SPDX-License-Identifier: MIT
use std::fmt;

use libdum_sys as sys;

use crate::call::{check, count, direct};
use crate::handle::Handle;
use crate::model::model_file;
use crate::params::{options, table};
use crate::{Context, Dataset, Error, FitOptions, Outcome, Param, Result, Rows};

/// The network that predicts how uncertain an embedding is.
///
/// ```
/// use libdum::{Context, Dataset, Head};
///
/// let context = Context::new()?;
/// let rows: Vec<[f32; 2]> = (0..200).map(|i| [(i as f32).sin(), (i as f32).cos()]).collect();
/// let mut head = Head::new(&context)?.with("steps", 20)?.with("seed", 1)?;
/// head.fit(&Dataset::from_rows(&context, &rows)?)?;
/// let log_variance = head.log_variance(&rows)?;
/// assert_eq!(log_variance.len(), rows.len() * head.log_variance_cols());
/// # Ok::<(), libdum::Error>(())
/// ```
pub struct Head {
    handle: Handle<sys::dum_head>,
}

impl Head {
    fn adopt(handle: Handle<sys::dum_head>) -> Head {
        Head { handle }
    }

    /// A head with the default options.
    pub fn new(context: &Context) -> Result<Head> {
        // SAFETY: passes the pointers on.
        Handle::create(context, |context, out| unsafe { sys::dum_head_create(context, out) }).map(Head::adopt)
    }

    /// The options that a head has.
    pub fn params() -> Result<Vec<Param>> {
        // SAFETY: takes nothing.
        let number = unsafe { sys::dum_head_param_count() };
        // SAFETY: table gives a struct that lives during the call and has its size.
        table(number, |index, info| unsafe { sys::dum_head_param_get(index, info) })
    }

    options!(dum_head_set_number, dum_head_set_text, dum_head_get_number, dum_head_get_text);
    model_file!(dum_head_save, dum_head_load, dum_head_save_memory, dum_head_load_memory);

    /// Trains on embeddings. A fitted head is trained anew.
    pub fn fit(&mut self, data: &Dataset<'_>) -> Result<()> {
        self.fit_with(data, FitOptions::new()).map(drop)
    }

    /// Trains on embeddings, with options. On an error the head is as it was, unless it is that of a closure that panicked.
    pub fn fit_with(&mut self, data: &Dataset<'_>, options: FitOptions<'_>) -> Result<Outcome> {
        // SAFETY: the handle is needed for the call alone: &mut self. The data live during it, and so do the options.
        options.run(data, |options| unsafe { sys::dum_head_fit(self.handle.get_mut(), data.get(), options) })
    }

    /// Columns of the embedding; 0 before fit.
    pub fn cols(&self) -> usize {
        // SAFETY: the handle lives as long as self.
        count(unsafe { sys::dum_head_cols(self.handle.get()) })
    }

    /// Columns of the log-variance: those of the embedding, or 1 for a circular covariance; 0 before fit.
    pub fn log_variance_cols(&self) -> usize {
        // SAFETY: the handle lives as long as self.
        count(unsafe { sys::dum_head_log_variance_cols(self.handle.get()) })
    }

    /// The log-variance of each row, in the head's scaled space, one row after the other.
    pub fn log_variance<'r>(&self, rows: impl Into<Rows<'r>>) -> Result<Vec<f32>> {
        let rows = rows.into();
        let mut out = vec![0.0; rows.len() * self.log_variance_cols()];
        // SAFETY: the rows lie within a slice; out has room for their log-variances. Before fit the library writes none.
        direct(|| unsafe {
            sys::dum_head_log_variance(
                self.handle.get(),
                rows.as_ptr(),
                rows.c_rows(),
                rows.c_cols(),
                rows.c_stride(),
                out.as_mut_ptr(),
            )
        })?;
        Ok(out)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("cols", &self.cols()).finish_non_exhaustive()
    }
}

/// The shape of a Gaussian's covariance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Covariance {
    /// A variance for each column.
    Diagonal,
    /// One variance.
    Circular,
}

/// Joins Gaussians, given by means and log-variances (as many as the means have columns for each, or 1), into one: its
/// mean and its log-variance.
///
/// ```
/// use libdum::{product_of_experts, Covariance};
///
/// let (mean, log_variance) = product_of_experts(&[[0.0, 4.0], [2.0, 8.0]], &[0.0, 0.0], Covariance::Circular)?;
/// assert_eq!(mean, [1.0, 6.0]);
/// assert!((log_variance[0] - 0.5_f32.ln()).abs() < 1e-6);
/// # Ok::<(), libdum::Error>(())
/// ```
pub fn product_of_experts<'r>(
    means: impl Into<Rows<'r>>,
    log_variances: &[f32],
    covariance: Covariance,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let means = means.into();
    let (cols, kind) = match covariance {
        Covariance::Diagonal => (means.cols(), sys::DUM_COVARIANCE_DIAGONAL),
        Covariance::Circular => (1, sys::DUM_COVARIANCE_CIRCULAR),
    };
    if log_variances.len() != means.len() * cols {
        let wanted = means.len() * cols;
        return Err(Error::Shape(format!("{} log-variances, expected {wanted}", log_variances.len())));
    }
    if !means.contiguous() {
        return Err(Error::Shape(String::from("the means have gaps between the rows")));
    }
    let (mut mean, mut log_variance) = (vec![0.0; means.cols()], vec![0.0; cols]);
    // SAFETY: all five are as long as rows, columns and covariance say.
    check(|| unsafe {
        sys::dum_product_of_experts(
            means.as_ptr(),
            log_variances.as_ptr(),
            means.c_rows(),
            means.c_cols(),
            kind as i32,
            mean.as_mut_ptr(),
            log_variance.as_mut_ptr(),
        )
    })?;
    Ok((mean, log_variance))
}
