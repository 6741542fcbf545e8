// SPDX-License-Identifier: MIT
use std::marker::PhantomData;
use std::slice;

use crate::{Error, Result};

/// Rows of numbers that lie in memory, borrowed: all columns of a row next to each other.
///
/// ```
/// use libdum::Rows;
///
/// let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let rows = Rows::new(&data, 3)?; // two rows of three columns
/// assert_eq!((rows.len(), rows.cols()), (2, 3));
/// let first_two_columns = Rows::with_stride(&data, 2, 2, 3)?;
/// let arrays = Rows::from(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// # Ok::<(), libdum::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// No slice: what lies between the rows may be somebody else's.
    data: *const f32,
    rows: i64,
    cols: i32,
    stride: i64,
    _data: PhantomData<&'a [f32]>,
}

// SAFETY: it gives shared access to numbers and no other, as &[f32] does.
unsafe impl Send for Rows<'_> {}
// SAFETY: as above.
unsafe impl Sync for Rows<'_> {}

impl<'a> Rows<'a> {
    /// Rows of `cols` columns that fill `data`.
    pub fn new(data: &'a [f32], cols: usize) -> Result<Rows<'a>> {
        if cols == 0 || data.len() % cols != 0 {
            return Err(Error::Shape(format!("{} numbers are no rows of {cols} columns", data.len())));
        }
        Rows::with_stride(data, data.len() / cols, cols, cols)
    }

    /// `rows` rows of `cols` columns whose beginnings are `stride` numbers apart.
    pub fn with_stride(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Result<Rows<'a>> {
        let needed = match rows.checked_sub(1) {
            None => Some(0),
            Some(others) => others.checked_mul(stride).and_then(|before| before.checked_add(cols)),
        };
        if stride < cols || needed.map_or(true, |needed| needed > data.len()) {
            return Err(Error::Shape(format!(
                "{} numbers do not hold {rows} rows of {cols} columns, {stride} apart",
                data.len()
            )));
        }
        // SAFETY: all of these rows lie within a slice that is borrowed for 'a.
        unsafe { Rows::from_ptr(data.as_ptr(), rows, cols, stride) }
    }

    /// `rows` rows of `cols` columns whose beginnings are `stride` numbers apart, from the one at `data` on: for the arrays of
    /// other crates. What lies between the rows is never read, and may be borrowed mutably by others.
    ///
    /// # Safety
    ///
    /// `data` is not null and aligned, and for `'a` each of these rows is borrowed: readable, in one allocation with the others,
    /// and not changed.
    pub unsafe fn from_ptr(data: *const f32, rows: usize, cols: usize, stride: usize) -> Result<Rows<'a>> {
        if rows > 1 && stride < cols {
            return Err(Error::Shape(format!("rows of {cols} columns, {stride} apart, lie over each other")));
        }
        let wide = |_| Error::Shape(format!("{cols} columns are more than the library takes"));
        let cols = i32::try_from(cols).map_err(wide)?;
        // Where there is one row or none, the stride is not bound by the data.
        let stride = if rows > 1 { stride as i64 } else { i64::from(cols) };
        Ok(Rows { data, rows: rows as i64, cols, stride, _data: PhantomData })
    }

    /// One row.
    pub fn row(data: &'a [f32]) -> Result<Rows<'a>> {
        Rows::with_stride(data, 1, data.len(), data.len())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How many columns there are.
    pub fn cols(&self) -> usize {
        self.cols as usize
    }

    /// The rows, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f32]> + 'a {
        let rows = *self;
        (0..self.len()).map(move |row| {
            // SAFETY: this row is borrowed for 'a, and lies within one allocation with the first.
            unsafe { slice::from_raw_parts(rows.data.add(row * rows.stride as usize), rows.cols()) }
        })
    }

    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.data
    }

    pub(crate) fn c_rows(&self) -> i64 {
        self.rows
    }

    pub(crate) fn c_cols(&self) -> i32 {
        self.cols
    }

    pub(crate) fn c_stride(&self) -> i64 {
        self.stride
    }

    /// Whether nothing lies between the rows.
    pub(crate) fn contiguous(&self) -> bool {
        self.rows <= 1 || self.stride == i64::from(self.cols)
    }
}

/// Panics where a row has more than `i32::MAX` columns.
impl<'a, const N: usize> From<&'a [[f32; N]]> for Rows<'a> {
    fn from(rows: &'a [[f32; N]]) -> Rows<'a> {
        // SAFETY: arrays of arrays have no gaps, so these are rows.len() * N numbers of one allocation.
        let data = unsafe { slice::from_raw_parts(rows.as_ptr().cast::<f32>(), rows.len() * N) };
        Rows::with_stride(data, rows.len(), N, N).expect("arrays of more columns than the library takes")
    }
}

/// Panics where a row has more than `i32::MAX` columns.
impl<'a, const N: usize, const M: usize> From<&'a [[f32; N]; M]> for Rows<'a> {
    fn from(rows: &'a [[f32; N]; M]) -> Rows<'a> {
        Rows::from(rows.as_slice())
    }
}

/// Panics where a row has more than `i32::MAX` columns.
impl<'a, const N: usize> From<&'a Vec<[f32; N]>> for Rows<'a> {
    fn from(rows: &'a Vec<[f32; N]>) -> Rows<'a> {
        Rows::from(rows.as_slice())
    }
}
