// SPDX-License-Identifier: MIT
//! What dum.h says of threads, by the compiler and by many threads.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{bits, fitted, kinds, scorer, short, table, COLS};
use libdum::*;

fn send_and_sync<T: Send + Sync>() {}

#[test]
fn types() {
    send_and_sync::<Context>();
    send_and_sync::<ContextBuilder>();
    send_and_sync::<Dataset<'static>>();
    send_and_sync::<Rows<'static>>();
    send_and_sync::<Encoder>();
    send_and_sync::<Head>();
    send_and_sync::<Scorer>();
    send_and_sync::<Monitor>();
    send_and_sync::<Error>();
}

#[test]
fn many_threads_score_with_one_handle() {
    let context = Context::new().unwrap();
    let rows = table(200);
    for kind in kinds() {
        let scorer = fitted(&context, kind, &rows);
        let expected = bits(&scorer.score(&rows).unwrap());
        thread::scope(|threads| {
            for start in 0..4 {
                let (scorer, rows, expected) = (&scorer, &rows, &expected);
                threads.spawn(move || {
                    for i in (start..rows.len()).step_by(3) {
                        assert_eq!(scorer.score_row(&rows[i]).unwrap().to_bits(), expected[i], "{kind}");
                        // An error, and its message, is the thread's own.
                        let wrong = vec![0.0; COLS + 1 + start];
                        let error = scorer.score_row(&wrong).unwrap_err();
                        assert!(error.message().contains(&wrong.len().to_string()), "{error}");
                    }
                    assert_eq!(bits(&scorer.score(rows).unwrap()), *expected);
                });
            }
        });
    }
}

/// Each thread makes, fits, saves, loads and ends its own, all from one context.
#[test]
fn many_threads_use_one_context() {
    let context = Context::builder().threads(2).build().unwrap();
    let rows = table(150);
    let before = context.bytes();
    thread::scope(|threads| {
        for kind in ["dum", "knn", "iforest", "ecod"] {
            let (context, rows) = (&context, &rows);
            threads.spawn(move || {
                let expected = bits(&fitted(&Context::new().unwrap(), kind, rows).score(rows).unwrap());
                for _ in 0..5 {
                    let scorer = fitted(context, kind, rows);
                    let loaded = Scorer::from_bytes(context, &scorer.to_bytes().unwrap()).unwrap();
                    drop(scorer);
                    assert_eq!(bits(&loaded.score(rows).unwrap()), expected);
                    assert!(context.threads() == 2 && context.bytes() > 0);
                }
            });
        }
    });
    assert_eq!(context.bytes(), before);
}

/// A handle is made on one thread, used on a second, ended on a third.
#[test]
fn handles_move() {
    let rows = table(150);
    let (scorer, rows) =
        thread::spawn(move || (fitted(&Context::new().unwrap(), "dum", &rows), rows)).join().unwrap();
    let scores = bits(&scorer.score(&rows).unwrap());
    let moved = thread::spawn(move || bits(&scorer.score(&rows).unwrap())).join().unwrap();
    assert_eq!(moved, scores);
}

/// The same data, options and seed: the same bits for any number of threads.
#[test]
fn bits_do_not_depend_on_threads() {
    let rows = table(700);
    for kind in kinds() {
        let models: Vec<Vec<u8>> = [1, 3]
            .iter()
            .map(|&number| {
                let context = Context::builder().threads(number).build().unwrap();
                fitted(&context, kind, &rows).to_bytes().unwrap()
            })
            .collect();
        assert!(models[0] == models[1], "{kind}");
    }
}

/// Two fits and a scoring read one dataset by one closure at once.
#[test]
fn a_dataset_is_shared() {
    let context = Context::new().unwrap();
    let rows = table(300);
    let reads = AtomicUsize::new(0);
    let data = Dataset::from_fn(&context, rows.len(), COLS, |indices, out| {
        reads.fetch_add(indices.len(), Ordering::Relaxed);
        for (index, row) in indices.iter().zip(out.chunks_exact_mut(COLS)) {
            row.copy_from_slice(&rows[*index as usize]);
        }
        Ok(())
    })
    .unwrap();
    let expected = fitted(&context, "dum", &rows).to_bytes().unwrap();
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                let mut own = scorer(&context, "dum");
                own.fit(&data).unwrap();
                assert!(own.to_bytes().unwrap() == expected);
            });
        }
    });
    assert!(reads.load(Ordering::Relaxed) >= 3 * rows.len());
    assert!(short("dum").is_some());
}

#[test]
fn many_threads_push_to_one_monitor() {
    let context = Context::new().unwrap();
    let reference: Vec<f64> = table(4000).iter().map(|row| f64::from(row[0])).collect();
    let mut monitor = Monitor::new(&context).unwrap().with("test", "ks").unwrap();
    monitor.fit_scores(&reference).unwrap();
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for chunk in reference.chunks(37) {
                    monitor.push_scores(chunk).unwrap();
                    let state = monitor.read().unwrap();
                    assert!(state.rows >= chunk.len() as u64);
                }
                assert!(monitor.top(5).unwrap().len() <= 5); // another may have reset it
                let saved = monitor.to_bytes().unwrap();
                assert!(Monitor::from_bytes(&context, &saved).unwrap().read().unwrap().rows > 0);
                monitor.reset().unwrap();
            });
        }
    });
    assert_eq!(monitor.read().unwrap().rows, 4 * 4000);
}
