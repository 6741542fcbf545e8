// SPDX-License-Identifier: MIT
//! Closures that stop a fit, fail, or panic: none of it goes through C code.

mod common;

use std::cell::Cell;
use std::ops::ControlFlow::{Break, Continue};
use std::panic::panic_any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use common::{bits, fitted, kinds, scorer, table, Folder, COLS};
use libdum::*;

/// A dataset whose closure does something before it gives row `index` of the table.
fn reading<'a>(
    context: &Context,
    rows: &'a [[f32; COLS]],
    before: impl Fn() -> Result<(), BoxError> + Send + Sync + 'a,
) -> Dataset<'a> {
    Dataset::from_fn(context, rows.len(), COLS, move |indices, out| {
        before()?;
        for (index, row) in indices.iter().zip(out.chunks_exact_mut(COLS)) {
            row.copy_from_slice(&rows[*index as usize]);
        }
        Ok(())
    })
    .unwrap()
}

fn callback(result: Result<impl std::fmt::Debug>) -> String {
    match result.unwrap_err() {
        Error::Callback(message) => message,
        error => panic!("{error:?}"),
    }
}

#[test]
fn progress_is_told_and_stops() {
    let context = Context::new().unwrap();
    let rows = table(300);
    let data = Dataset::from_rows(&context, &rows).unwrap();
    let mut steps = Vec::new();
    let mut whole = scorer(&context, "dum");
    let outcome = whole.fit_with(
        &data,
        FitOptions::new().progress(|progress| {
            assert!(progress.steps == 10 && progress.loss.is_finite() && progress.seconds >= 0.0);
            steps.push(progress.step);
            Continue(())
        }),
    );
    assert_eq!(outcome, Ok(Outcome::Complete));
    assert!((1..=10).all(|step| steps.contains(&step)));
    // A closure changes nothing.
    assert_eq!(whole.to_bytes(), fitted(&context, "dum", &rows).to_bytes());

    // Stopped, it is fitted as far as it got.
    let mut part = Scorer::new(&context, "dum").unwrap();
    let stop = |progress: &Progress| if progress.step < 2 { Continue(()) } else { Break(()) };
    assert_eq!(part.fit_with(&data, FitOptions::new().progress(stop)), Ok(Outcome::Stopped));
    assert!(part.is_fitted() && part.score_row(&rows[0]).unwrap().is_finite());
    // Kinds that are not trained in steps are as they were, or have ended before they could be asked.
    for kind in kinds() {
        let mut scorer = Scorer::new(&context, kind).unwrap();
        // Before the first step, while rows are read, there is nothing to keep.
        let stop = |progress: &Progress| if progress.step == 0 { Continue(()) } else { Break(()) };
        let outcome = scorer.fit_with(&data, FitOptions::new().progress(stop)).unwrap();
        let in_steps = ["dum", "autoencoder", "deepsvdd", "repen"].contains(&kind);
        assert_eq!(scorer.is_fitted(), outcome == Outcome::Complete || in_steps, "{kind}");
        assert!(!in_steps || outcome == Outcome::Stopped, "{kind}");
    }
    let mut slow = Scorer::new(&context, "dum").unwrap().with("steps", 1_000_000_000).unwrap();
    assert_eq!(slow.fit_with(&data, FitOptions::new().max_seconds(0.05)), Ok(Outcome::Stopped));
}

/// Another thread stops a fit.
#[test]
fn cancel_from_another_thread() {
    let context = Context::new().unwrap();
    let rows = table(300);
    let data = Dataset::from_rows(&context, &rows).unwrap();
    let stop = AtomicBool::new(false);
    let mut scorer = Scorer::new(&context, "dum").unwrap().with("steps", 1_000_000_000).unwrap();
    let outcome = std::thread::scope(|threads| {
        threads.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            stop.store(true, Ordering::Relaxed);
        });
        scorer.fit_with(
            &data,
            FitOptions::new()
                .progress(|_| if stop.load(Ordering::Relaxed) { Break(()) } else { Continue(()) }),
        )
    });
    assert_eq!(outcome, Ok(Outcome::Stopped));
    assert!(scorer.is_fitted());
}

#[test]
fn progress_that_panics() {
    let context = Context::new().unwrap();
    let rows = table(200);
    let data = Dataset::from_rows(&context, &rows).unwrap();
    let calls = Cell::new(0);
    let fit = |panic: fn()| {
        let mut scorer = scorer(&context, "dum");
        callback(scorer.fit_with(
            &data,
            FitOptions::new().progress(|_| {
                calls.set(calls.get() + 1);
                panic();
                Continue(())
            }),
        ))
    };
    assert_eq!(fit(|| panic!("no {}", 1)), "the progress closure panicked: no 1");
    assert_eq!(fit(|| panic!("static")), "the progress closure panicked: static");
    assert_eq!(fit(|| panic_any(7)), "the progress closure panicked: no message");
    /// Panics when it is dropped.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb");
        }
    }
    assert_eq!(fit(|| panic_any(Bomb)), "the progress closure panicked: no message");
    assert_eq!(calls.get(), 4); // not called again

    // The next call knows nothing of it.
    assert!(fitted(&context, "dum", &rows).is_fitted());
}

#[test]
fn reads_that_fail_or_panic() {
    let context = Context::new().unwrap();
    let rows = table(600);
    let fails = reading(&context, &rows, || Err("the disk is gone".into()));
    let panics = reading(&context, &rows, || panic!("unplugged"));
    let good = fitted(&context, "knn", &rows);
    let before = bits(&good.score(&rows).unwrap());
    for kind in kinds() {
        let mut fresh = scorer(&context, kind);
        assert_eq!(callback(fresh.fit(&fails)), "the read closure failed: the disk is gone");
        assert_eq!(callback(fresh.fit(&panics)), "the read closure panicked: unplugged");
        assert!(!fresh.is_fitted());
    }
    assert_eq!(callback(fails.read(0, 1)), "the read closure failed: the disk is gone");
    assert_eq!(callback(good.score_dataset(&panics)), "the read closure panicked: unplugged");
    let mut fitted_again = fitted(&context, "knn", &rows);
    assert_eq!(callback(fitted_again.calibrate(&fails)), "the read closure failed: the disk is gone");
    assert_eq!(callback(fitted_again.fit(&fails)), "the read closure failed: the disk is gone");
    assert_eq!(bits(&fitted_again.score(&rows).unwrap()), before);
    let mut monitor = Monitor::new(&context).unwrap().with("false_alarms", 1000).unwrap();
    assert_eq!(callback(monitor.fit(&good, &panics)), "the read closure panicked: unplugged");

    // A closure that writes nothing gives zeros, not what was in memory before.
    let silent = Dataset::from_fn(&context, 10, 2, |_, _| Ok(())).unwrap();
    assert_eq!(silent.read(3, 2).unwrap(), [0.0; 4]);
}

/// What a closure calls may fail without harm to the call that called it, and the other way round.
#[test]
fn calls_within_calls() {
    let context = Context::new().unwrap();
    let rows = table(200);
    let inner = fitted(&context, "knn", &rows);
    let panics = reading(&context, &rows, || panic!("inner"));
    let reads = reading(&context, &rows, || {
        assert_eq!(callback(inner.score_dataset(&panics)), "the read closure panicked: inner");
        assert!(inner.score_row(&[0.0]).is_err());
        Ok(())
    });
    let mut outer = scorer(&context, "ecod");
    outer.fit(&reads).unwrap();
    assert!(outer.is_fitted());
    let passes_on = reading(&context, &rows, || Ok(inner.score_row(&[0.0]).map(drop)?));
    assert!(callback(outer.fit(&passes_on)).starts_with("the read closure failed: "));
}

#[test]
fn log_lines() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let context = Context::builder()
        .log(move |line| kept.lock().unwrap().push((line.level, line.code, line.text.to_string())))
        .build()
        .unwrap();
    assert_eq!(Arc::strong_count(&lines), 2);
    lines.lock().unwrap().clear();
    let mut scorer = scorer(&context, "knn");
    scorer.fit(&Dataset::from_rows(&context, &[[1.0; 3]; 50]).unwrap()).unwrap();
    drop(context);
    {
        let lines = lines.lock().unwrap();
        let (level, code, text) = lines.last().expect("a constant score is logged");
        assert_eq!((*level, *code), (Level::Warning, libdum_sys::DUM_LOG_CONSTANT_SCORE as i32));
        assert!(!text.is_empty() && !text.contains('\n'));
    }
    assert!(Level::Error < Level::Debug);
    // The closure lives as long as anything that may log.
    assert_eq!(Arc::strong_count(&lines), 2);
    drop(scorer);
    assert_eq!(Arc::strong_count(&lines), 1);
}

/// An encoder's context, and its log, live as long as the scorer that keeps the encoder.
#[test]
fn encoder_of_another_context() {
    let alive = Arc::new(());
    let kept = Arc::clone(&alive);
    let other = Context::builder().log(move |_| drop(Arc::clone(&kept))).build().unwrap();
    let context = Context::new().unwrap();
    let mut scorer = scorer(&context, "dum");
    scorer.set_encoder(&Encoder::new(&other, "identity").unwrap()).unwrap();
    drop(other);
    assert_eq!(Arc::strong_count(&alive), 2);
    let rows = table(100);
    scorer.fit(&Dataset::from_rows(&context, &rows).unwrap()).unwrap();
    drop(scorer);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn log_that_panics() {
    // At once: nothing is left behind.
    let message = callback(Context::builder().log(|_| panic!("full")).build());
    assert_eq!(message, "the log closure panicked: full");

    let armed = Arc::new(AtomicBool::new(false));
    let trigger = Arc::clone(&armed);
    let context =
        Context::builder().log(move |_| assert!(!trigger.load(Ordering::Relaxed), "full")).build().unwrap();
    armed.store(true, Ordering::Relaxed);
    let mut scorer = scorer(&context, "knn");
    let constant = [[1.0; 3]; 50];
    let message = callback(scorer.fit(&Dataset::from_rows(&context, &constant).unwrap()));
    assert_eq!(message, "the log closure panicked: full");
    // What it did is done.
    assert!(scorer.is_fitted());
    // An error of the library goes before it.
    armed.store(false, Ordering::Relaxed);
    assert!(matches!(scorer.score_row(&[1.0]), Err(Error::Shape(_))));
}

/// Two threads train one head.
#[test]
fn shared_training() {
    let rows = table(300);
    let head = |batch: u32| {
        let context = Context::builder().threads(1).build().unwrap();
        let head = Head::new(&context).unwrap().with("batch", batch).unwrap().with("steps", 20).unwrap();
        (context, head.with("optimizer", "sgd").unwrap().with("rate", 0.005).unwrap())
    };
    let (context, mut whole) = head(64);
    whole.fit(&Dataset::from_rows(&context, &rows).unwrap()).unwrap();
    let (given, barrier) = (Mutex::new([Vec::new(), Vec::new()]), Barrier::new(2));
    let fit = |rank: usize| {
        let (context, mut half) = head(32);
        let add_up = |values: &mut [f32]| {
            given.lock().unwrap()[rank] = values.to_vec();
            barrier.wait();
            for (i, value) in values.iter_mut().enumerate() {
                *value = given.lock().unwrap().iter().map(|one| one[i]).sum();
            }
            barrier.wait();
            Ok(())
        };
        let options = FitOptions::new().share(rank as u32, 2, add_up);
        assert!(format!("{options:?}").contains("ranks: 2, reduce: true"));
        half.fit_with(&Dataset::from_rows(&context, &rows).unwrap(), options).unwrap();
        half.log_variance(&rows).unwrap()
    };
    let (first, second) = std::thread::scope(|threads| {
        let other = threads.spawn(|| fit(1));
        (fit(0), other.join().unwrap())
    });
    assert_eq!(first, second);
    for (one, other) in first.iter().zip(whole.log_variance(&rows).unwrap()) {
        assert!((one - other).abs() < 1e-4);
    }

    let data = Dataset::from_rows(&context, &rows).unwrap();
    let (_, mut alone) = head(64);
    let fails = FitOptions::new().share(0, 1, |_| Err("no network".into()));
    assert_eq!(callback(alone.fit_with(&data, fails)), "the reduce closure failed: no network");
    let panics = FitOptions::new().share(0, 1, |values| panic!("{} values", values.len()));
    assert_eq!(callback(alone.fit_with(&data, panics)), "the reduce closure panicked: 68 values");
    assert_eq!(alone.cols(), 0);
}

#[test]
fn checkpoints() {
    let context = Context::new().unwrap();
    let rows = table(300);
    let data = Dataset::from_rows(&context, &rows).unwrap();
    let make = || Scorer::new(&context, "dum").unwrap().with("steps", 12).unwrap();
    let mut whole = make();
    whole.fit(&data).unwrap();

    // Stopped, and on from the bytes; and from the file.
    let folder = Folder::new("checkpoints");
    let path = folder.path("c.dum");
    let mut last = Vec::new();
    let mut part = make();
    let options = FitOptions::new()
        .progress(|progress| if progress.step < 5 { Continue(()) } else { Break(()) })
        .checkpoint_epochs(1)
        .checkpoint_path(&path)
        .checkpoint(|bytes| {
            last = bytes.to_vec();
            Ok(())
        });
    assert!(format!("{options:?}").contains("checkpoint_epochs: 1"));
    assert_eq!(part.fit_with(&data, options), Ok(Outcome::Stopped));
    assert_eq!(last, std::fs::read(&path).unwrap());
    assert_eq!(inspect(&context, &path).unwrap().kind, "checkpoint");
    let mut resumed = make();
    assert_eq!(resumed.fit_with(&data, FitOptions::new().resume_from(&last)), Ok(Outcome::Complete));
    assert_eq!(resumed.to_bytes(), whole.to_bytes());
    let mut resumed = make();
    let options = FitOptions::new().checkpoint_path(&path).resume(true);
    assert_eq!(resumed.fit_with(&data, options), Ok(Outcome::Complete));
    assert_eq!(resumed.to_bytes(), whole.to_bytes());

    let fails = FitOptions::new().checkpoint(|_| Err("no room".into()));
    assert_eq!(callback(make().fit_with(&data, fails)), "the checkpoint closure failed: no room");
    let panics = FitOptions::new().checkpoint(|_| panic!("no room"));
    assert_eq!(callback(make().fit_with(&data, panics)), "the checkpoint closure panicked: no room");
    assert!(make().fit_with(&data, FitOptions::new().resume_from(b"not one")).is_err());
    assert!(make().fit_with(&data, FitOptions::new().resume_from(b"")).is_err());
}
