// SPDX-License-Identifier: MIT
//! Encoders: images and tables, closures, weights, files, below scorers; images.

mod common;

use std::ops::ControlFlow::Break;
use std::sync::Arc;
use std::thread;

use common::{bits, kinds, scorer, table, Folder, COLS};
use libdum::images::{corrupt, corruptions, Augment, Size};
use libdum::*;

const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE * 3;
const IMAGES: usize = 48;
const SIZE: Size = Size { height: SIDE as u32, width: SIDE as u32, channels: 3 };

/// Stripes across or down, and which.
fn pictures() -> (Vec<u8>, Vec<i32>) {
    let labels: Vec<i32> = (0..IMAGES as i32).map(|i| i % 2).collect();
    let pixel = |image: usize, p: usize| {
        let (y, x) = (p / 3 / SIDE, p / 3 % SIDE);
        let along = if labels[image] == 0 { x } else { y };
        (127.0 + 80.0 * (1.6 * along as f32 + image as f32).sin() + (p * 7 % 11) as f32) as u8
    };
    let bytes = (0..IMAGES * PIXELS).map(|i| pixel(i / PIXELS, i % PIXELS)).collect();
    (bytes, labels)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|byte| f32::from(*byte)).collect()
}

fn tiny(context: &Context) -> Encoder {
    let mut encoder = Encoder::new(context, "resnet").unwrap();
    let options = [("height", 8), ("width", 8), ("depth", 8), ("units", 4), ("projection", 8), ("batch", 16)];
    for (name, value) in options {
        encoder.set(name, value).unwrap();
    }
    encoder.with("epochs", 1).unwrap()
}

fn fitted(context: &Context, bytes: &[u8]) -> Encoder {
    let mut encoder = tiny(context);
    encoder.fit(&Dataset::from_bytes(context, bytes, PIXELS).unwrap()).unwrap();
    encoder
}

fn float_bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn bytes() {
    let context = Context::new().unwrap();
    let (bytes, _) = pictures();
    let data = Dataset::from_bytes(&context, &bytes, PIXELS).unwrap();
    assert_eq!((data.rows(), data.cols()), (IMAGES, PIXELS));
    assert_eq!(data.read(0, IMAGES).unwrap(), floats(&bytes));
    for (bytes, cols) in [(&bytes[..5], 3), (&bytes[..5], 0), (&[], 3)] {
        assert!(matches!(Dataset::from_bytes(&context, bytes, cols), Err(Error::Shape(_))));
    }
}

#[test]
fn encoders() {
    let context = Context::new().unwrap();
    let (bytes, labels) = pictures();
    let data = Dataset::from_bytes(&context, &bytes, PIXELS).unwrap();
    assert_eq!(Encoder::kinds(), ["identity", "mlp", "resnet"]);
    assert!(Encoder::params().unwrap().iter().any(|param| param.name == "objective"));
    assert!(
        matches!(Encoder::new(&context, "oracle"), Err(Error::Argument(message)) if message.contains("resnet"))
    );

    let mut encoder = tiny(&context);
    assert_eq!((encoder.kind(), encoder.cols(), encoder.embedding_cols(PIXELS)), ("resnet", 0, None));
    assert!(matches!(encoder.embed_dataset(&data), Err(Error::State(_))));
    encoder.fit(&data).unwrap();
    assert_eq!((encoder.cols(), encoder.embedding_cols(PIXELS)), (PIXELS, Some(16)));
    assert!(format!("{encoder:?}").contains("resnet"));
    let embeddings = encoder.embed_dataset(&data).unwrap();
    let numbers = floats(&bytes);
    let same = encoder.embed(Rows::new(&numbers, PIXELS).unwrap()).unwrap();
    assert_eq!(float_bits(&embeddings), float_bits(&same));
    assert!(matches!(encoder.set("units", 8), Err(Error::State(_))));
    assert!(matches!(encoder.embed(&[[0.0; 5]]), Err(Error::Shape(_))));
    let error = encoder.embed(&[[300.0; PIXELS]]).unwrap_err();
    assert!(matches!(&error, Error::Argument(message) if message.contains("300")), "{error:?}");
    encoder.set("output", "logits").unwrap();
    assert!(matches!(encoder.embed(&[[0.0; PIXELS]]), Err(Error::Unsupported(_) | Error::Shape(_))));

    // Labels: one a row, and needed.
    let mut encoder = tiny(&context).with("objective", "supervised").unwrap().with("epochs", 12).unwrap();
    assert!(matches!(encoder.fit(&data), Err(Error::Argument(_))));
    for wrong in [&labels[1..], &[]] {
        let error = encoder.fit_with(&data, FitOptions::new().labels(wrong)).unwrap_err();
        assert!(matches!(error, Error::Shape(_)), "{error:?}");
        assert!(matches!(encoder.linear_accuracy((&data, wrong), (&data, &labels)), Err(Error::Shape(_))));
        assert!(matches!(encoder.knn_accuracy((&data, &labels), (&data, wrong), 5), Err(Error::Shape(_))));
    }
    encoder.fit_with(&data, FitOptions::new().labels(&labels)).unwrap();
    assert!(encoder.knn_accuracy((&data, &labels), (&data, &labels), 5).unwrap() > 0.6);
    assert!(encoder.linear_accuracy((&data, &labels), (&data, &labels)).unwrap() > 0.6);
    encoder.set("output", "logits").unwrap();
    assert_eq!(encoder.embed_dataset(&data).unwrap().len(), IMAGES * 2);

    // Stopped, it is fitted as far as it got.
    let mut part = tiny(&context).with("epochs", 1000).unwrap();
    let outcome = part.fit_with(&data, FitOptions::new().progress(|_| Break(()))).unwrap();
    assert_eq!((outcome, part.cols()), (Outcome::Stopped, PIXELS));

    let mut identity = Encoder::new(&context, "identity").unwrap();
    assert!(matches!(identity.fit(&data), Err(Error::Unsupported(_))));
    assert!(matches!(identity.set("units", 8), Err(Error::Unsupported(_))));
    assert_eq!(identity.embed(&[[1.0, 2.0]]).unwrap(), [1.0, 2.0]);
}

#[test]
fn files_and_weights() {
    let folder = Folder::new("encoders");
    let context = Context::new().unwrap();
    let (bytes, _) = pictures();
    let data = Dataset::from_bytes(&context, &bytes, PIXELS).unwrap();
    let encoder = fitted(&context, &bytes);
    let expected = float_bits(&encoder.embed_dataset(&data).unwrap());
    encoder.save(folder.path("encoder")).unwrap();
    assert_eq!(inspect(&context, folder.path("encoder")).unwrap().kind, "encoder");
    let saved = encoder.to_bytes().unwrap();
    for loaded in [
        Encoder::load(&context, folder.path("encoder")).unwrap(),
        Encoder::from_bytes(&context, &saved).unwrap(),
    ] {
        assert_eq!(float_bits(&loaded.embed_dataset(&data).unwrap()), expected);
        assert_eq!(loaded.to_bytes().unwrap(), saved);
    }
    assert!(Scorer::from_bytes(&context, &saved).is_err());

    encoder.export(folder.path("weights")).unwrap();
    let mut other = tiny(&context);
    other.import(folder.path("weights"), "torchvision").unwrap();
    assert_eq!(float_bits(&other.embed_dataset(&data).unwrap()), expected);
    assert!(matches!(other.import(folder.path("weights"), "nonesuch"), Err(Error::Argument(_))));
    assert!(matches!(other.import(folder.path("nowhere"), "simclr"), Err(Error::Io(_))));
    assert_eq!(float_bits(&other.embed_dataset(&data).unwrap()), expected);
    assert!(matches!(
        Encoder::new(&context, "mlp").unwrap().export(folder.path("x")),
        Err(Error::Unsupported(_))
    ));
}

#[test]
fn scorers_stand_on_encoders() {
    let context = Context::new().unwrap();
    let (bytes, _) = pictures();
    let data = Dataset::from_bytes(&context, &bytes, PIXELS).unwrap();
    let mut encoder = fitted(&context, &bytes);
    let embeddings = encoder.embed_dataset(&data).unwrap();
    for kind in kinds() {
        let mut above = scorer(&context, kind);
        above.set_encoder(&encoder).unwrap();
        above.fit(&data).unwrap();
        assert_eq!(above.cols(), PIXELS);
        let mut beside = scorer(&context, kind);
        beside.fit(&Dataset::from_slice(&context, &embeddings, 16).unwrap()).unwrap();
        let expected = bits(&beside.score(Rows::new(&embeddings, 16).unwrap()).unwrap());
        assert_eq!(bits(&above.score_dataset(&data).unwrap()), expected, "{kind}");

        // The scorer keeps its encoder as it was: what comes out of it is set for others.
        encoder.set("output", "map").unwrap();
        assert_eq!(bits(&above.score_dataset(&data).unwrap()), expected, "{kind}");
        encoder.set("output", "features").unwrap();
        let folder = Folder::new(kind);
        assert!(matches!(encoder.fit(&data), Err(Error::State(_))));
        encoder.export(folder.path("weights")).unwrap();
        assert!(matches!(encoder.import(folder.path("weights"), "torchvision"), Err(Error::State(_))));
        let loaded = Scorer::from_bytes(&context, &above.to_bytes().unwrap()).unwrap();
        assert_eq!(bits(&loaded.score_dataset(&data).unwrap()), expected, "{kind}");
        assert!(matches!(above.set_encoder(&encoder), Err(Error::State(_))));
    }
    encoder.fit(&data).unwrap();
}

#[test]
fn scorers_of_classes() {
    let context = Context::new().unwrap();
    let (bytes, labels) = pictures();
    let data = Dataset::from_bytes(&context, &bytes, PIXELS).unwrap();
    let mut encoder = tiny(&context).with("objective", "supervised").unwrap();
    encoder.fit_with(&data, FitOptions::new().labels(&labels)).unwrap();
    let mut scorer = Scorer::new(&context, "mds").unwrap();
    scorer.set_encoder(&encoder).unwrap();
    scorer.fit_with(&data, FitOptions::new().labels(&labels)).unwrap();
    assert!(scorer.score_dataset(&data).unwrap().iter().all(|score| score.is_finite()));
    let error = scorer.fit_with(&data, FitOptions::new().labels(&labels[1..])).unwrap_err();
    assert!(matches!(error, Error::Shape(_)), "{error:?}");
}

#[test]
fn many_threads_share_an_encoder() {
    let context = Context::new().unwrap();
    let (bytes, _) = pictures();
    let encoder = fitted(&context, &bytes);
    let data = Dataset::from_bytes(&context, &bytes, PIXELS).unwrap();
    let expected = float_bits(&encoder.embed_dataset(&data).unwrap());
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..5 {
                    let mut scorer = Scorer::new(&context, "ecod").unwrap();
                    scorer.set_encoder(&encoder).unwrap();
                    scorer.fit(&data).unwrap();
                    assert_eq!(float_bits(&encoder.embed_dataset(&data).unwrap()), expected);
                }
            });
        }
    });
}

#[test]
fn closures() {
    let context = Context::new().unwrap();
    let rows = table(300);
    let data = Dataset::from_rows(&context, &rows).unwrap();
    let alive = Arc::new(());
    let kept = Arc::clone(&alive);
    let sums = move || {
        let kept = Arc::clone(&kept);
        move |rows: Rows<'_>, out: &mut [f32]| {
            let _ = &kept;
            for (row, out) in rows.iter().zip(out.chunks_exact_mut(2)) {
                if row[0] > 1e6 {
                    return Err("too large".into());
                }
                assert!(row[0] > -1e6, "too small");
                out.copy_from_slice(&[row[0] + row[1], row[2] - row[3]]);
            }
            Ok(())
        }
    };
    let encoder = Encoder::from_fn(&context, COLS, 2, sums()).unwrap();
    assert_eq!((encoder.kind(), encoder.cols(), encoder.embedding_cols(COLS)), ("callback", COLS, Some(2)));
    let embeddings = encoder.embed(&rows).unwrap();
    assert_eq!(embeddings[2], rows[1][0] + rows[1][1]);
    let flat: Vec<f32> = rows.iter().flat_map(|row| [row[0], row[1], row[2], row[3], f32::NAN]).collect();
    let strided = Rows::with_stride(&flat, 300, COLS, COLS + 1).unwrap();
    assert_eq!(encoder.embed(strided).unwrap(), embeddings);
    assert_eq!(encoder.embed(&rows[..0]).unwrap(), []);

    let mut scorer = Scorer::new(&context, "knn").unwrap();
    scorer.set_encoder(&encoder).unwrap();
    drop(encoder); // the scorer keeps the closure
    scorer.fit(&data).unwrap();
    let scores = bits(&scorer.score(&rows).unwrap());
    let mut beside = Scorer::new(&context, "knn").unwrap();
    beside.fit(&Dataset::from_slice(&context, &embeddings, 2).unwrap()).unwrap();
    assert_eq!(bits(&beside.score(Rows::new(&embeddings, 2).unwrap()).unwrap()), scores);

    // Errors and panics are those of the call that is under way, and of no other.
    for (row, said) in [([1e7, 0.0, 0.0, 0.0], "too large"), ([-1e7, 0.0, 0.0, 0.0], "panicked: too small")] {
        let error = scorer.score_row(&row).unwrap_err();
        assert!(matches!(&error, Error::Callback(message) if message.contains(said)), "{error:?}");
        assert_eq!(scorer.score_row(&rows[0]).unwrap().to_bits(), scores[0]);
        let error = scorer.score_dataset(&Dataset::from_rows(&context, &[row]).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Callback(_)), "{error:?}");
    }

    // No file has a closure.
    let mut loaded = Scorer::from_bytes(&context, &scorer.to_bytes().unwrap()).unwrap();
    assert!(matches!(loaded.score_row(&rows[0]), Err(Error::State(_))));
    let wrong = Encoder::from_fn(&context, COLS, 3, |_, _| Ok(())).unwrap();
    assert!(matches!(loaded.set_encoder(&wrong), Err(Error::Shape(_))));
    let again = Encoder::from_fn(&context, COLS, 2, sums()).unwrap();
    assert!(matches!(again.to_bytes(), Err(Error::Unsupported(_))));
    loaded.set_encoder(&again).unwrap();
    assert_eq!(bits(&loaded.score(&rows).unwrap()), scores);
    assert!(matches!(Encoder::from_fn(&context, 0, 2, |_, _| Ok(())), Err(Error::Shape(_))));
    assert!(matches!(Encoder::from_fn(&context, usize::MAX, 2, |_, _| Ok(())), Err(Error::Shape(_))));

    drop((scorer, loaded, again, sums));
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn images() {
    let context = Context::new().unwrap();
    let (bytes, _) = pictures();
    let numbers = floats(&bytes);
    let rows = Rows::new(&numbers, PIXELS).unwrap();
    let first = Rows::new(&numbers[..2 * PIXELS], PIXELS).unwrap();
    let views = Augment::new().apply(&context, SIZE, rows, 1, 0).unwrap();
    assert_eq!(views[..2 * PIXELS], Augment::new().apply(&context, SIZE, first, 1, 0).unwrap());
    assert_ne!(views, Augment::new().apply(&context, SIZE, rows, 1, 1).unwrap());
    let never = Augment::new().crop_min(1.0).flip(-1.0).jitter(-1.0).grey(-1.0);
    let same = never.apply(&context, SIZE, first, 1, 0).unwrap();
    assert!(same.iter().zip(&numbers).all(|(a, b)| (a - b).abs() < 1e-3));
    let options =
        Augment::new().crop_max(1.0).brightness(0.1).contrast(0.1).saturation(0.1).hue(0.1).blur(0.1);
    assert!(options.apply(&context, SIZE, first, 1, 0).is_ok());
    assert!(matches!(Augment::new().flip(2.0).apply(&context, SIZE, first, 1, 0), Err(Error::Argument(_))));

    assert_eq!(corruptions().len(), 15);
    for name in corruptions() {
        let made = corrupt(&context, name, 5, 1, SIZE, first).unwrap();
        assert!(made.len() == 2 * PIXELS && made.iter().all(|value| (0.0..=255.0).contains(value)), "{name}");
    }
    assert!(matches!(corrupt(&context, "dust", 1, 1, SIZE, first), Err(Error::Argument(_))));
    assert!(matches!(corrupt(&context, "fog", u32::MAX, 1, SIZE, first), Err(Error::Argument(_))));
    for size in [Size { height: 9, ..SIZE }, Size { height: u32::MAX, width: u32::MAX, channels: u32::MAX }] {
        assert!(matches!(corrupt(&context, "fog", 1, 1, size, first), Err(Error::Shape(_))));
        assert!(matches!(Augment::new().apply(&context, size, first, 1, 0), Err(Error::Shape(_))));
    }
}
