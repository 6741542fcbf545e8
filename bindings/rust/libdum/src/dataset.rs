// SPDX-License-Identifier: MIT
use std::ffi::CString;
use std::fmt;
use std::marker::PhantomData;
use std::os::raw::c_void;
use std::path::Path;
use std::slice;
use std::sync::Arc;

use libdum_sys as sys;

use crate::call::{c_path, c_text, check, count, guard, length, text};
use crate::handle::Handle;
use crate::{Context, Error, Result, Rows};

/// An error of a closure, of any type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

type ReadFn<'a> = dyn Fn(&[i64], &mut [f32]) -> Result<(), BoxError> + Send + Sync + 'a;

struct Reader<'a> {
    read: Box<ReadFn<'a>>,
    cols: usize,
}

unsafe extern "C" fn read(user: *mut c_void, indices: *const i64, rows: i64, out: *mut f32) -> i32 {
    guard("read", 1, || {
        // SAFETY: user is the Reader of the dataset that is being read, which keeps it; it is only ever shared.
        let reader = unsafe { &*user.cast::<Reader<'_>>() };
        let rows = count(rows);
        if rows == 0 {
            return Ok(0);
        }
        // SAFETY: the library gives as many indices as rows, which live during this call.
        let indices = unsafe { slice::from_raw_parts(indices, rows) };
        // SAFETY: the library gives room for rows x cols numbers that nobody else uses during this call. They may
        // hold nothing yet, so they are written before there is a reference to them.
        let out = unsafe {
            out.write_bytes(0, rows * reader.cols);
            slice::from_raw_parts_mut(out, rows * reader.cols)
        };
        (reader.read)(indices, out).map_err(|error| error.to_string())?;
        Ok(0)
    })
}

/// Rows to fit to or to score, read in any order and never copied as a whole: borrowed from memory, mapped from a file, or
/// made by a closure.
///
/// ```
/// use libdum::{Context, Dataset, Rows};
///
/// let context = Context::new()?;
/// let numbers: Vec<f32> = (0..30).map(|i| i as f32).collect();
/// let mut data = Dataset::from_rows(&context, Rows::new(&numbers, 3)?)?;
/// data.set_feature_names(&["width", "height", "depth"])?;
/// assert_eq!((data.rows(), data.cols(), data.feature_name(1)), (10, 3, Some("height")));
/// assert_eq!(data.read(9, 1)?, [27.0, 28.0, 29.0]);
/// # Ok::<(), libdum::Error>(())
/// ```
///
/// It cannot outlive what it borrows, nor can that be changed meanwhile:
///
/// ```compile_fail,E0597
/// # let context = libdum::Context::new().unwrap();
/// let data = {
///     let rows = vec![[1.0, 2.0], [3.0, 4.0]];
///     libdum::Dataset::from_rows(&context, &rows).unwrap()
/// };
/// data.rows();
/// ```
///
/// ```compile_fail,E0502
/// # let context = libdum::Context::new().unwrap();
/// let mut rows = vec![[1.0, 2.0], [3.0, 4.0]];
/// let data = libdum::Dataset::from_rows(&context, &rows).unwrap();
/// rows[0] = [5.0, 6.0];
/// data.rows();
/// ```
pub struct Dataset<'a> {
    handle: Handle<sys::dum_dataset>,
    /// After the handle, which uses it.
    _reader: Option<Arc<Reader<'a>>>,
    _data: PhantomData<&'a [f32]>,
}

impl<'a> Dataset<'a> {
    /// Rows in memory: [`Rows`], or arrays.
    pub fn from_rows(context: &Context, rows: impl Into<Rows<'a>>) -> Result<Dataset<'a>> {
        let rows = rows.into();
        let handle = Handle::create(context, |context, out| {
            // SAFETY: the rows lie within a slice that is borrowed, and not changed, for 'a: as long as the dataset.
            unsafe {
                sys::dum_dataset_from_memory(
                    context,
                    rows.as_ptr(),
                    rows.c_rows(),
                    rows.c_cols(),
                    rows.c_stride(),
                    out,
                )
            }
        })?;
        Ok(Dataset { handle, _reader: None, _data: PhantomData })
    }

    /// Rows of `cols` columns that fill a slice.
    pub fn from_slice(context: &Context, data: &'a [f32], cols: usize) -> Result<Dataset<'a>> {
        Dataset::from_rows(context, Rows::new(data, cols)?)
    }

    /// Rows of `cols` bytes that fill a slice, such as images: 0 to 255, made numbers when they are read.
    pub fn from_bytes(context: &Context, data: &'a [u8], cols: usize) -> Result<Dataset<'a>> {
        if cols == 0 || data.len() % cols != 0 {
            return Err(Error::Shape(format!("{} bytes are no rows of {cols} columns", data.len())));
        }
        let wide = |_| Error::Shape(format!("{cols} columns are more than the library takes"));
        let (rows, c_cols) = (length(data) / cols as i64, i32::try_from(cols).map_err(wide)?);
        let handle = Handle::create(context, |context, out| {
            // SAFETY: the rows fill a slice that is borrowed, and not changed, for 'a: as long as the dataset.
            unsafe { sys::dum_dataset_from_bytes(context, data.as_ptr(), rows, c_cols, 0, out) }
        })?;
        Ok(Dataset { handle, _reader: None, _data: PhantomData })
    }

    /// Rows that a closure reads: it gets the indices of some rows, and writes these rows, one after the other. Where it
    /// fails or panics, the call that reads the dataset returns [`Error::Callback`] with its message.
    ///
    /// ```
    /// use libdum::{Context, Dataset};
    ///
    /// let data = Dataset::from_fn(&Context::new()?, 1_000_000, 2, |indices, out| {
    ///     for (index, row) in indices.iter().zip(out.chunks_exact_mut(2)) {
    ///         row.copy_from_slice(&[*index as f32, 1.0]);
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(data.read(7, 2)?, [7.0, 1.0, 8.0, 1.0]);
    /// # Ok::<(), libdum::Error>(())
    /// ```
    ///
    /// Datasets are read from any thread, so the closure must allow it:
    ///
    /// ```compile_fail,E0277
    /// # let context = libdum::Context::new().unwrap();
    /// let row = std::rc::Rc::new([1.0, 2.0]);
    /// let data = libdum::Dataset::from_fn(&context, 10, 2, move |_, out| {
    ///     out.chunks_exact_mut(2).for_each(|to| to.copy_from_slice(&*row));
    ///     Ok(())
    /// });
    /// ```
    pub fn from_fn(
        context: &Context,
        rows: usize,
        cols: usize,
        read_rows: impl Fn(&[i64], &mut [f32]) -> Result<(), BoxError> + Send + Sync + 'a,
    ) -> Result<Dataset<'a>> {
        let wide = |_| Error::Shape(format!("{rows} rows of {cols} columns are more than the library takes"));
        let (c_rows, c_cols) = (i64::try_from(rows).map_err(wide)?, i32::try_from(cols).map_err(wide)?);
        let reader = Arc::new(Reader { read: Box::new(read_rows), cols });
        let user = Arc::as_ptr(&reader) as *mut c_void;
        let handle = Handle::create(context, |context, out| {
            // SAFETY: user is what the callback expects, and lives as long as the dataset.
            unsafe { sys::dum_dataset_from_callback(context, c_rows, c_cols, Some(read), user, out) }
        })?;
        Ok(Dataset { handle, _reader: Some(reader), _data: PhantomData })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        // SAFETY: the handle lives as long as self.
        count(unsafe { sys::dum_dataset_rows(self.handle.get()) })
    }

    /// How many columns there are.
    pub fn cols(&self) -> usize {
        // SAFETY: the handle lives as long as self.
        count(unsafe { sys::dum_dataset_cols(self.handle.get()) })
    }

    /// A copy of some rows, one after the other.
    pub fn read(&self, first: usize, rows: usize) -> Result<Vec<f32>> {
        if first.checked_add(rows).map_or(true, |end| end > self.rows()) {
            return Err(Error::Shape(format!(
                "{rows} rows from row {first} on wanted, the dataset has {}",
                self.rows()
            )));
        }
        let mut out = vec![0.0; rows * self.cols()];
        // SAFETY: out has room for these rows, which are within the dataset.
        check(|| unsafe {
            sys::dum_dataset_read(self.handle.get(), first as i64, rows as i64, out.as_mut_ptr())
        })?;
        Ok(out)
    }

    /// Names the columns. A scorer that is fitted to named columns keeps the names, and refuses datasets whose names differ.
    pub fn set_feature_names(&mut self, names: &[impl AsRef<str>]) -> Result<()> {
        let names =
            names.iter().map(|name| c_text("the name", name.as_ref())).collect::<Result<Vec<CString>>>()?;
        let number = i32::try_from(names.len()).unwrap_or(i32::MAX);
        let pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the library copies number texts; where there are more, it refuses a number that is not cols.
        check(|| unsafe {
            sys::dum_dataset_set_feature_names(self.handle.get_mut(), pointers.as_ptr(), number)
        })
    }

    /// The name of a column, where it has one.
    pub fn feature_name(&self, col: usize) -> Option<&str> {
        let col = i32::try_from(col).ok()?;
        // SAFETY: the text lives until the dataset ends or is named anew, which needs &mut self.
        unsafe { text(sys::dum_dataset_feature_name(self.handle.get(), col)) }
    }

    pub(crate) fn get(&self) -> *const sys::dum_dataset {
        self.handle.get()
    }
}

impl Dataset<'static> {
    /// Maps a .npy file in C order: little-endian float32, float64 or uint8; of up to four dimensions the first are the rows. The
    /// file must not shrink while it is mapped.
    pub fn from_npy(context: &Context, path: impl AsRef<Path>) -> Result<Dataset<'static>> {
        let path = c_path(path.as_ref())?;
        let handle = Handle::create(context, |context, out| {
            // SAFETY: the path lives during the call.
            unsafe { sys::dum_dataset_from_npy(context, path.as_ptr(), out) }
        })?;
        Ok(Dataset { handle, _reader: None, _data: PhantomData })
    }
}

impl fmt::Debug for Dataset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("rows", &self.rows()).field("cols", &self.cols()).finish()
    }
}
