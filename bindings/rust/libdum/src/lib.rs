// SPDX-License-Identifier: MIT
//! How far to trust an embedding: deep uncertainty models, anomaly scorers and monitors, by the C library libdum.
//!
//! ```
//! use libdum::{Context, Dataset, Scorer};
//!
//! let context = Context::new()?;
//! let embeddings: Vec<[f32; 2]> = (0..500).map(|i| [(i as f32).sin(), (i as f32).cos()]).collect();
//!
//! let mut scorer = Scorer::new(&context, "dum")?.with("holdout", 0.2)?.with("steps", 50)?;
//! scorer.fit(&Dataset::from_rows(&context, &embeddings)?)?;
//! let threshold = scorer.threshold(0.01)?; // at most 1 false alarm in 100 normal rows
//! let score = scorer.score_row(&[0.5, 0.8])?; // any thread, no lock, no allocation
//! println!("{}", if score > threshold { "alarm" } else { "as usual" });
//!
//! let model = scorer.to_bytes()?; // C, Python and the tool dum read the same file
//! assert_eq!(Scorer::from_bytes(&context, &model)?.score_row(&[0.5, 0.8])?, score);
//! # Ok::<(), libdum::Error>(())
//! ```
//!
//! `dum.h` says more of every function: the methods here have its names. What they leave out: a context's own allocator.
//!
//! **Threads.** All types are [`Send`] and [`Sync`]. Methods with `&self` may run on any number of threads at once; what changes
//! an object has `&mut self`.
//!
//! **Closures.** Neither an error nor a panic of one goes through C code: the call that is under way returns
//! [`Error::Callback`] with what it said.

#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

mod call;
mod context;
mod dataset;
mod encoder;
mod error;
mod fit;
mod handle;
mod head;
pub mod images;
mod model;
mod monitor;
mod params;
mod rows;
mod scorer;
pub mod stats;

pub use context::{backends, version, Backend, Context, ContextBuilder, Level, LogLine};
pub use dataset::{BoxError, Dataset};
pub use encoder::Encoder;
pub use error::{Error, Result};
pub use fit::{FitOptions, Outcome, Progress};
pub use head::{product_of_experts, Covariance, Head};
pub use model::{inspect, ModelInfo};
pub use monitor::{Monitor, MonitorState, TopRow};
pub use params::{Param, ParamKind, Value};
pub use rows::Rows;
pub use scorer::Scorer;

// The pages' examples run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/rust.md")]
struct Page;
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
