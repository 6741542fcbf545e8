// SPDX-License-Identifier: MIT
use std::fmt;

use libdum_sys as sys;

use crate::call::{c_text, check, count};
use crate::handle::Handle;
use crate::{Context, Result, Rows};

/// What turns an input into an embedding: the thing below the head.
///
/// ```
/// use libdum::{Context, Encoder};
///
/// let encoder = Encoder::new(&Context::new()?, "identity")?;
/// assert_eq!(encoder.embed(&[[1.0, 2.0]])?, [1.0, 2.0]);
/// # Ok::<(), libdum::Error>(())
/// ```
pub struct Encoder {
    pub(crate) handle: Handle<sys::dum_encoder>,
}

impl Encoder {
    /// An encoder of a kind: "identity" (the input is the embedding already).
    pub fn new(context: &Context, kind: &str) -> Result<Encoder> {
        let kind = c_text("the kind", kind)?;
        // SAFETY: the kind lives during the call.
        let handle = Handle::create(context, |context, out| unsafe {
            sys::dum_encoder_create(context, kind.as_ptr(), out)
        })?;
        Ok(Encoder { handle })
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

    /// The embeddings of rows, one after the other.
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
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}
