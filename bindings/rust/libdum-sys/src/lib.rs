// SPDX-License-Identifier: MIT
//! The declarations of `dum.h`: functions, structs and constants under their C names. The
//! header says what each does; the crate `libdum` is the safe interface.
//!
//! They are made by bindgen (`bindings/rust/tools/declarations.sh`) and found to be those of the header by a test.
//! The build script finds the library with pkg-config; with `DUM_STATIC=1` in the environment it is linked statically.
//! Cargo passes the folder of `dum.h` to the build scripts of dependents as `DEP_DUM_INCLUDE`.

#![deny(unsafe_op_in_unsafe_fn)]

#[allow(missing_docs, non_camel_case_types, non_upper_case_globals, clippy::all)]
mod declarations;
pub use declarations::*;
