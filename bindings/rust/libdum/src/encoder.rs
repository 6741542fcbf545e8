// SPDX-License-Identifier: MIT
use std::fmt;
use std::os::raw::c_void;
use std::path::Path;
use std::slice;
use std::sync::Arc;

use libdum_sys as sys;

use crate::call::{c_path, c_text, check, count, guard, text};
use crate::handle::Handle;
use crate::model::model_file;
use crate::params::{options, table};
use crate::{BoxError, Context, Dataset, Error, FitOptions, Outcome, Param, Result, Rows};

type EmbedFn = dyn Fn(Rows<'_>, &mut [f32]) -> Result<(), BoxError> + Send + Sync;

/// The host's closure, and the columns that it makes.
pub(crate) struct Embedder {
    embed: Box<EmbedFn>,
    embedding_cols: usize,
}

unsafe extern "C" fn embed(
    user: *mut c_void,
    data: *const f32,
    rows: i64,
    cols: i32,
    row_stride: i64,
    out: *mut f32,
) -> i32 {
    guard("embed", 1, || {
        // SAFETY: user is the Embedder of the encoder that is being used, which keeps it, as do scorers that stand on
        // it; it is only ever shared.
        let embedder = unsafe { &*user.cast::<Embedder>() };
        let (rows, cols, stride) = (count(rows), count(cols), count(row_stride));
        if rows == 0 {
            return Ok(0);
        }
        // SAFETY: the library gives rows x cols numbers, row_stride apart, which live during this call.
        let data = unsafe { slice::from_raw_parts(data, (rows - 1) * stride + cols) };
        let given = Rows::with_stride(data, rows, cols, stride).map_err(|error| error.to_string())?;
        // SAFETY: the library gives room for the embeddings that nobody else uses during this call. They may hold
        // nothing yet, so they are written before there is a reference to them.
        let out = unsafe {
            out.write_bytes(0, rows * embedder.embedding_cols);
            slice::from_raw_parts_mut(out, rows * embedder.embedding_cols)
        };
        (embedder.embed)(given, out).map_err(|error| error.to_string())?;
        Ok(0)
    })
}

/// What turns an input into an embedding: the thing below the head.
///
/// ```
/// use libdum::{Context, Dataset, Encoder};
///
/// let context = Context::new()?;
/// let images: Vec<u8> = (0..24 * 8 * 8 * 3).map(|i| (i * 7 % 251) as u8).collect(); // 24 images of 8 x 8 x 3
/// let mut encoder = Encoder::new(&context, "resnet")?
///     .with("height", 8)?.with("width", 8)?.with("depth", 8)?.with("units", 4)? // tiny
///     .with("batch", 12)?.with("epochs", 1)?;
/// let data = Dataset::from_bytes(&context, &images, 8 * 8 * 3)?;
/// encoder.fit(&data)?;
/// assert_eq!(encoder.embed_dataset(&data)?.len(), 24 * 16);
///
/// encoder.set("output", "projection")?; // an option that can be set at any time
/// assert_eq!(encoder.embedding_cols(8 * 8 * 3), Some(128));
/// # Ok::<(), libdum::Error>(())
/// ```
///
/// **Below a scorer.** [`Scorer::set_encoder`](crate::Scorer::set_encoder) keeps the encoder and its options as they are then. `&mut`
/// says that nobody else has this object, not that no scorer stands on it: while one does, [`fit`](Encoder::fit) and
/// [`import`](Encoder::import) return [`Error::State`]. Options can be set all the same; the scorer does not see it.
pub struct Encoder {
    pub(crate) handle: Handle<sys::dum_encoder>,
    /// After the handle, which uses it.
    pub(crate) embedder: Option<Arc<Embedder>>,
}

impl Encoder {
    fn adopt(handle: Handle<sys::dum_encoder>) -> Encoder {
        Encoder { handle, embedder: None }
    }

    /// An encoder of one of the [`kinds`](Encoder::kinds): "identity" (the input is the embedding already), "mlp" (rows of a
    /// table), "resnet" (images: rows of height x width x channels, channels last, values 0 to 255).
    pub fn new(context: &Context, kind: &str) -> Result<Encoder> {
        let kind = c_text("the kind", kind)?;
        // SAFETY: the kind lives during the call.
        Handle::create(context, |context, out| unsafe {
            sys::dum_encoder_create(context, kind.as_ptr(), out)
        })
        .map(Encoder::adopt)
    }

    /// An encoder of the host: a closure gets rows of `cols` columns and writes `embedding_cols` numbers for each, one row
    /// after the other. Where it fails or panics, the call that embeds returns [`Error::Callback`] with its message.
    ///
    /// ```
    /// use libdum::{Context, Encoder};
    ///
    /// let context = Context::new()?;
    /// let encoder = Encoder::from_fn(&context, 3, 1, |rows, out| {
    ///     for (row, out) in rows.iter().zip(out) {
    ///         *out = row.iter().sum();
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(encoder.embed(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])?, [6.0, 15.0]);
    /// # Ok::<(), libdum::Error>(())
    /// ```
    ///
    /// Any thread embeds, several at once, and scorers keep the closure, so it must allow that:
    ///
    /// ```compile_fail,E0277
    /// # let context = libdum::Context::new().unwrap();
    /// let scale = std::rc::Rc::new(2.0);
    /// let encoder = libdum::Encoder::from_fn(&context, 1, 1, move |_, out| {
    ///     out.fill(*scale);
    ///     Ok(())
    /// });
    /// ```
    pub fn from_fn(
        context: &Context,
        cols: usize,
        embedding_cols: usize,
        embed_rows: impl Fn(Rows<'_>, &mut [f32]) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Result<Encoder> {
        let wide =
            |_| Error::Shape(format!("{cols} or {embedding_cols} columns are more than the library takes"));
        let c_cols = i32::try_from(cols).map_err(wide)?;
        let c_embedding_cols = i32::try_from(embedding_cols).map_err(wide)?;
        let embedder = Arc::new(Embedder { embed: Box::new(embed_rows), embedding_cols });
        let user = Arc::as_ptr(&embedder) as *mut c_void;
        let handle = Handle::create(context, |context, out| {
            // SAFETY: user is what the callback expects; the encoder keeps it, and so do scorers that stand on it.
            unsafe {
                sys::dum_encoder_from_callback(context, c_cols, c_embedding_cols, Some(embed), user, out)
            }
        })?;
        Ok(Encoder { handle, embedder: Some(embedder) })
    }

    /// The kinds that [`new`](Encoder::new) knows.
    pub fn kinds() -> Vec<&'static str> {
        // SAFETY: takes nothing.
        let number = unsafe { sys::dum_encoder_kind_count() };
        // SAFETY: the texts are static.
        (0..number).filter_map(|index| unsafe { text(sys::dum_encoder_kind_name(index)) }).collect()
    }

    /// The options that encoders of kinds "mlp" and "resnet" have.
    pub fn params() -> Result<Vec<Param>> {
        // SAFETY: takes nothing.
        let number = unsafe { sys::dum_encoder_param_count() };
        // SAFETY: table gives a struct that lives during the call and has its size.
        table(number, |index, info| unsafe { sys::dum_encoder_param_get(index, info) })
    }

    /// The kind of this encoder; "callback" for a closure.
    pub fn kind(&self) -> &'static str {
        // SAFETY: the handle lives as long as self; names of kinds are static.
        unsafe { text(sys::dum_encoder_kind(self.handle.get())) }.unwrap_or_default()
    }

    options!(dum_encoder_set_number, dum_encoder_set_text, dum_encoder_get_number, dum_encoder_get_text);
    model_file!(dum_encoder_save, dum_encoder_load, dum_encoder_save_memory, dum_encoder_load_memory);

    /// Trains by option "objective". A fitted encoder is trained anew.
    pub fn fit(&mut self, data: &Dataset<'_>) -> Result<()> {
        self.fit_with(data, FitOptions::new()).map(drop)
    }

    /// Trains, with options; objective "supervised" needs [`labels`](FitOptions::labels). On an error the encoder is as it was,
    /// unless it is that of a closure that panicked.
    pub fn fit_with(&mut self, data: &Dataset<'_>, options: FitOptions<'_>) -> Result<Outcome> {
        options.run(data, |options| {
            // SAFETY: the handle is needed for the call alone: &mut self; where a scorer stands on it, the library only
            // says so. The data live during the call, and so do the options.
            unsafe { sys::dum_encoder_fit(self.handle.get_mut(), data.get(), options) }
        })
    }

    /// Columns of the input; 0 before fit, and for "identity", which takes any.
    pub fn cols(&self) -> usize {
        // SAFETY: the handle lives as long as self.
        count(unsafe { sys::dum_encoder_cols(self.handle.get()) })
    }

    /// The number of columns of the embedding of an input with `cols` columns; none where it refuses it.
    pub fn embedding_cols(&self, cols: usize) -> Option<usize> {
        let cols = i32::try_from(cols).ok()?;
        // SAFETY: the handle lives as long as self.
        match unsafe { sys::dum_encoder_embedding_cols(self.handle.get(), cols) } {
            0 => None,
            cols => Some(count(cols)),
        }
    }

    /// The embeddings of rows, one after the other; option "output" says of what kind. A row's embedding does not depend on
    /// the rows beside it.
    pub fn embed<'r>(&self, rows: impl Into<Rows<'r>>) -> Result<Vec<f32>> {
        let rows = rows.into();
        let cols = self.embedding_cols(rows.cols()).unwrap_or(0);
        let mut out = vec![0.0; rows.len() * cols];
        // SAFETY: the rows lie within a slice; out has room for their embeddings. Where the encoder refuses the columns, it
        // writes none.
        check(|| unsafe {
            sys::dum_encoder_embed(
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

    /// The embeddings of all rows of a dataset, which is streamed.
    pub fn embed_dataset(&self, data: &Dataset<'_>) -> Result<Vec<f32>> {
        let cols = self.embedding_cols(data.cols()).unwrap_or(0);
        let mut out = vec![0.0; data.rows() * cols];
        // SAFETY: both handles live during the call; out has room for the embeddings. Where the encoder refuses the columns,
        // it writes none.
        check(|| unsafe { sys::dum_encoder_embed_dataset(self.handle.get(), data.get(), out.as_mut_ptr()) })?;
        Ok(out)
    }

    /// Takes weights from a safetensors file by torchvision's names into an encoder of kind "resnet", whose options say
    /// depth, stem, units and the size of the images. `names`: "torchvision", or "simclr" (pixels are divided by 255).
    pub fn import(&mut self, path: impl AsRef<Path>, names: &str) -> Result<()> {
        let (path, names) = (c_path(path.as_ref())?, c_text("the names", names)?);
        // SAFETY: the handle is needed for the call alone: &mut self; where a scorer stands on it, the library only says so.
        // The texts live during the call.
        check(|| unsafe { sys::dum_encoder_import(self.handle.get_mut(), path.as_ptr(), names.as_ptr()) })
    }

    /// Writes the weights of a fitted encoder of kind "resnet" to a safetensors file by torchvision's names.
    pub fn export(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path.as_ref())?;
        // SAFETY: the handle lives as long as self, the path during the call.
        check(|| unsafe { sys::dum_encoder_export(self.handle.get(), path.as_ptr()) })
    }

    /// Share of the test rows whose class their nearest neighbours among the training rows say; `neighbours` 0: 200, or
    /// all where there are fewer.
    pub fn knn_accuracy(
        &self,
        (train, train_labels): (&Dataset<'_>, &[i32]),
        (test, test_labels): (&Dataset<'_>, &[i32]),
        neighbours: u32,
    ) -> Result<f64> {
        one_label_each(train, train_labels)?;
        one_label_each(test, test_labels)?;
        let neighbours = i32::try_from(neighbours).unwrap_or(i32::MAX);
        let mut accuracy = 0.0;
        // SAFETY: all handles live during the call; each dataset has as many labels as rows.
        check(|| unsafe {
            sys::dum_encoder_knn_accuracy(
                self.handle.get(),
                train.get(),
                train_labels.as_ptr(),
                test.get(),
                test_labels.as_ptr(),
                neighbours,
                &mut accuracy,
            )
        })?;
        Ok(accuracy)
    }

    /// Share of the test rows whose class one linear layer says that is trained on the training rows' embeddings.
    pub fn linear_accuracy(
        &self,
        (train, train_labels): (&Dataset<'_>, &[i32]),
        (test, test_labels): (&Dataset<'_>, &[i32]),
    ) -> Result<f64> {
        one_label_each(train, train_labels)?;
        one_label_each(test, test_labels)?;
        let mut accuracy = 0.0;
        // SAFETY: all handles live during the call; each dataset has as many labels as rows.
        check(|| unsafe {
            sys::dum_encoder_linear_accuracy(
                self.handle.get(),
                train.get(),
                train_labels.as_ptr(),
                test.get(),
                test_labels.as_ptr(),
                &mut accuracy,
            )
        })?;
        Ok(accuracy)
    }
}

/// The library reads a label for each row.
pub(crate) fn one_label_each(data: &Dataset<'_>, labels: &[i32]) -> Result<()> {
    if labels.len() == data.rows() {
        return Ok(());
    }
    Err(Error::Shape(format!("{} labels, expected one for each of {} rows", labels.len(), data.rows())))
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("kind", &self.kind())
            .field("cols", &self.cols())
            .finish_non_exhaustive()
    }
}
