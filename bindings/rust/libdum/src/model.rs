// SPDX-License-Identifier: MIT
//! Model files.

use std::path::Path;
use std::ptr;

use libdum_sys as sys;

use crate::call::{array_text, c_path, check};
use crate::{Context, Error, Result};

/// The bytes that a function of the library saves: asks for the size, and again where it has grown meanwhile.
pub(crate) fn to_bytes(
    save: impl Fn(*mut std::os::raw::c_void, usize, *mut usize) -> sys::dum_status,
) -> Result<Vec<u8>> {
    let mut size = 0;
    check(|| save(ptr::null_mut(), 0, &mut size))?;
    loop {
        let mut bytes = vec![0; size];
        let result = check(|| save(bytes.as_mut_ptr().cast(), bytes.len(), &mut size));
        if matches!(result, Err(Error::Argument(_))) && size > bytes.len() {
            continue;
        }
        result?;
        bytes.truncate(size);
        return Ok(bytes);
    }
}

/// The methods for model files, of a type with a member `handle` and a function `adopt`.
macro_rules! model_file {
    ($save:ident, $load:ident, $save_memory:ident, $load_memory:ident) => {
        /// Writes the model file: the old one or the new one is there, never a part.
        pub fn save(&self, path: impl AsRef<std::path::Path>) -> crate::Result<()> {
            let path = crate::call::c_path(path.as_ref())?;
            // SAFETY: the handle lives as long as self, the path during the call.
            crate::call::check(|| unsafe { sys::$save(self.handle.get(), path.as_ptr()) })
        }

        /// Reads a model file, and trusts nothing in it.
        pub fn load(context: &crate::Context, path: impl AsRef<std::path::Path>) -> crate::Result<Self> {
            let path = crate::call::c_path(path.as_ref())?;
            // SAFETY: the path lives during the call.
            crate::handle::Handle::create(context, |context, out| unsafe {
                sys::$load(context, path.as_ptr(), out)
            })
            .map(Self::adopt)
        }

        /// The bytes of the model file.
        pub fn to_bytes(&self) -> crate::Result<Vec<u8>> {
            // SAFETY: the handle lives as long as self; the rest is to_bytes's duty, which gives room for its capacity.
            crate::model::to_bytes(|bytes, capacity, size| unsafe {
                sys::$save_memory(self.handle.get(), bytes, capacity, size)
            })
        }

        /// Reads the bytes of a model file, and trusts nothing in them.
        pub fn from_bytes(context: &crate::Context, bytes: &[u8]) -> crate::Result<Self> {
            // SAFETY: the bytes live during the call.
            crate::handle::Handle::create(context, |context, out| unsafe {
                sys::$load_memory(context, bytes.as_ptr().cast(), bytes.len(), out)
            })
            .map(Self::adopt)
        }
    };
}

pub(crate) use model_file;

/// What a model file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The version of the format that it was written in.
    pub format: i32,
    /// The oldest version whose reader can read it.
    pub min_reader: i32,
    /// What wrote it, such as "libdum 0.1.0".
    pub writer: String,
    /// "head", "checkpoint", "monitor", or "scorer." and the scorer's kind.
    pub kind: String,
    /// Of the tensors, in hexadecimal.
    pub sha256: String,
}

/// Checks a model file, and reads what it says of itself, without building the model.
pub fn inspect(context: &Context, path: impl AsRef<Path>) -> Result<ModelInfo> {
    let path = c_path(path.as_ref())?;
    let mut info =
        sys::dum_model_info { struct_size: std::mem::size_of::<sys::dum_model_info>(), ..Default::default() };
    // SAFETY: the context lives as long as the reference; path and info live during the call.
    check(|| unsafe { sys::dum_model_inspect(context.as_ptr(), path.as_ptr(), &mut info) })?;
    Ok(ModelInfo {
        format: info.format,
        min_reader: info.min_reader,
        writer: array_text(&info.writer),
        kind: array_text(&info.kind),
        sha256: array_text(&info.sha256),
    })
}
