// SPDX-License-Identifier: MIT
//! Arrays of [`ndarray`] as [`Rows`] of [`libdum`], without a copy.
//!
//! ```
//! use libdum::{Context, Dataset, Scorer};
//! use libdum_ndarray::rows;
//! use ndarray::{s, Array1, Array2};
//!
//! let context = Context::new()?;
//! let table = Array2::from_shape_fn((500, 3), |(i, j)| ((i * (j + 1)) as f32).sin());
//! let normal = table.slice(s![..400, 1..]); // 400 rows of the last two columns
//!
//! let mut scorer = Scorer::new(&context, "dum")?.with("holdout", 0.2)?.with("steps", 50)?;
//! scorer.fit(&Dataset::from_rows(&context, rows(normal)?)?)?;
//!
//! let scores = Array1::from(scorer.score(rows(table.slice(s![400.., 1..]))?)?);
//! let deviation = Array2::from_shape_vec(normal.dim(), scorer.deviation(rows(normal)?)?)?;
//! println!("{} {}", scores.mean().unwrap(), deviation.row(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

use libdum::{Error, Result, Rows};
use ndarray::ArrayView2;

/// The rows of an array, borrowed. The numbers of a row must lie next to each other; the rows may be any distance apart, as those
/// of a slice of rows or columns are. [`Error::Shape`] where they do not, and where rows lie over each other or in reverse order:
///
/// ```
/// use libdum_ndarray::rows;
/// use ndarray::Array2;
///
/// let array = Array2::<f32>::zeros((4, 3));
/// assert_eq!(rows(&array)?.len(), 4);
/// assert!(matches!(rows(array.t()), Err(libdum::Error::Shape(_))));
/// let transposed = array.t().as_standard_layout().into_owned(); // a copy that is in order
/// assert_eq!(rows(&transposed)?.len(), 3);
/// # Ok::<(), libdum::Error>(())
/// ```
///
/// The array can't be changed meanwhile:
///
/// ```compile_fail,E0502
/// let mut array = ndarray::Array2::<f32>::zeros((4, 3));
/// let rows = libdum_ndarray::rows(&array).unwrap();
/// array[[0, 0]] = 1.0;
/// rows.len();
/// ```
pub fn rows<'a>(array: impl Into<ArrayView2<'a, f32>>) -> Result<Rows<'a>> {
    let array = array.into();
    let (rows, cols) = array.dim();
    let (row, col) = (array.strides()[0], array.strides()[1]);
    // Strides of axes that have one element or none say nothing.
    if rows > 0 && cols > 1 && col != 1 {
        return Err(Error::Shape(format!(
            "the numbers of a row are {col} apart, expected 1: as_standard_layout() makes an array that is in order"
        )));
    }
    let stride = if rows > 1 && cols > 0 { row } else { cols as isize };
    let stride = usize::try_from(stride).map_err(|_| {
        Error::Shape(format!(
            "the rows are {row} apart, in reverse: as_standard_layout() makes an array that is in order"
        ))
    })?;
    // SAFETY: for 'a the view borrows these rows, which lie in one allocation; ndarray's pointers are aligned and never null.
    unsafe { Rows::from_ptr(array.as_ptr(), rows, cols, stride) }
}
