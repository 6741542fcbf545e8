// SPDX-License-Identifier: MIT
//! A service in small: fits a scorer, or loads one, and scores rows from several threads.
//!   cargo run --release --example threads [MODEL.dum [THREADS [SECONDS]]]

use std::env;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use libdum::{Context, Dataset, Rows, Scorer};

/// Points on a ring, each with a little noise.
fn ring(number: usize) -> Vec<[f32; 2]> {
    let point = |i: usize| {
        let (angle, radius) = (i as f32 * 2.399, 1.0 + 0.05 * (i as f32 * 0.731).sin());
        [radius * angle.cos(), radius * angle.sin()]
    };
    (0..number).map(point).collect()
}

fn fit(context: &Context) -> libdum::Result<Scorer> {
    let rows = ring(2000);
    let mut scorer = Scorer::new(context, "dum")?.with("holdout", 0.25)?.with("steps", 300)?;
    scorer.fit(&Dataset::from_rows(context, &rows)?)?;
    Ok(scorer)
}

/// Scores row after row, and says how many rows it were and how many of them raised an alarm.
fn serve(scorer: &Scorer, threshold: f64, first: usize, end: Instant) -> libdum::Result<(u64, u64)> {
    let (mut rows, mut alarms) = (0, 0);
    let mut row: Vec<f32> = vec![0.0; scorer.cols()];
    while rows % 64 != 0 || Instant::now() < end {
        let angle = (first as u64 + rows) as f32;
        let radius = if rows % 100 == 99 { 2.0 } else { 1.0 }; // now and then one that is odd
        for (col, number) in row.iter_mut().enumerate() {
            *number = radius * (angle + 1.571 * col as f32).sin();
        }
        alarms += u64::from(scorer.score_row(&row)? > threshold);
        rows += 1;
    }
    Ok((rows, alarms))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let context = Context::builder().log(|line| eprintln!("{:?}: {}", line.level, line.text)).build()?;
    let scorer = match arguments.first() {
        Some(model) => Scorer::load(&context, model)?,
        None => fit(&context)?,
    };
    let number = arguments.get(1).map_or(Ok(4), |text| text.parse::<usize>())?;
    let seconds = arguments.get(2).map_or(Ok(1.0), |text| text.parse::<f64>())?;
    let threshold = scorer.threshold(0.05).unwrap_or(f64::INFINITY); // it may not be calibrated

    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let (mut rows, mut alarms) = (0, 0);
    thread::scope(|threads| {
        let mut running = Vec::new();
        for i in 0..number {
            let scorer = &scorer;
            running.push(threads.spawn(move || serve(scorer, threshold, i * 1000, end)));
        }
        for one in running {
            let one = one.join().expect("serve does not panic")?;
            rows += one.0;
            alarms += one.1;
        }
        Ok::<(), libdum::Error>(())
    })?;
    println!("{}: {number} threads scored {rows} rows, {alarms} above {threshold}", scorer.kind());

    // Rows far from the ring score higher, whichever thread asks.
    let far = vec![10.0; scorer.cols()];
    println!("a row far away: {}", scorer.score(Rows::row(&far)?)?[0]);
    Ok(())
}
