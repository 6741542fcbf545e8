// SPDX-License-Identifier: MIT
//! One row by `Scorer::score_row` and by the C function alone, in turns: `cargo bench`.

use std::mem;
use std::ptr;
use std::time::Instant;

use libdum::{Context, Dataset, Scorer};
use libdum_sys as sys;

const COLS: usize = 30;
const ROUNDS: usize = 21;
const CALLS: u32 = 20_000;

/// The same value, of which the compiler knows nothing.
fn black_box<T: Copy>(value: T) -> T {
    // SAFETY: a copy of a value that may be copied.
    unsafe { ptr::read_volatile(&value) }
}

fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Nanoseconds a call.
fn time(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..CALLS).for_each(|_| call());
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let context = Context::new()?;
    let rows: Vec<[f32; COLS]> = (0..500)
        .map(|i| {
            let mut row = [0.0; COLS];
            row.iter_mut().enumerate().for_each(|(j, number)| *number = ((i * 31 + j * j) as f32).sin());
            row
        })
        .collect();
    println!("nanoseconds a row of {COLS} columns: C alone, and from Rust (the least of {ROUNDS} rounds)");
    for kind in ["hbos", "ecod", "mahalanobis", "iforest", "dum"] {
        let mut scorer = Scorer::new(&context, kind)?;
        if kind == "dum" {
            scorer.set("steps", 50)?;
        }
        scorer.fit(&Dataset::from_rows(&context, &rows)?)?;

        let bytes = scorer.to_bytes()?;
        let scorer = Scorer::from_bytes(&context, &bytes)?;
        // SAFETY: the model and the context live to the end, and all pointers are of what their calls expect.
        unsafe {
            let mut options: sys::dum_context_options = mem::zeroed();
            options.struct_size = mem::size_of_val(&options);
            let (mut c_context, mut c_scorer) = (ptr::null_mut(), ptr::null_mut());
            assert_eq!(sys::dum_context_create(&options, &mut c_context), sys::DUM_OK);
            let status =
                sys::dum_scorer_load_memory(c_context, bytes.as_ptr().cast(), bytes.len(), &mut c_scorer);
            assert_eq!(status, sys::DUM_OK);
            let (mut alone, mut from_rust) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                alone.push(time(|| {
                    let mut score = 0.0;
                    let row = black_box(rows[0].as_ptr());
                    let status = sys::dum_scorer_score(c_scorer, row, 1, COLS as i32, 0, &mut score);
                    assert_eq!(status, sys::DUM_OK);
                    black_box(score);
                }));
                from_rust.push(time(|| {
                    black_box(scorer.score_row(black_box(&rows[0])).unwrap());
                }));
            }
            println!("{kind:12} {:8.0} {:8.0}", least(&alone), least(&from_rust));
            sys::dum_scorer_destroy(c_scorer);
            sys::dum_context_destroy(c_context);
        }
    }
    Ok(())
}
