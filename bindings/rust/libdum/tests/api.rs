// SPDX-License-Identifier: MIT
//! The safe interface, end to end, and its errors.

mod common;

use common::{bits, fitted, kinds, scorer, table, write_npy, Folder, COLS};
use libdum::stats::{self, Fdr, Interval, Method, TTest};
use libdum::*;

#[test]
fn contexts() {
    let context =
        Context::builder().backend("ref").device(0).threads(2).max_bytes(50_000_000).build().unwrap();
    assert_eq!((context.backend(), context.threads()), ("ref", 2));
    let before = context.bytes();
    let scorer = fitted(&context, "knn", &table(100));
    assert!(context.bytes() > before);
    let same = context.clone();
    drop(scorer);
    assert_eq!((context.bytes(), same.bytes()), (before, before));
    assert!(format!("{context:?}").contains("ref"));
    assert!(!version().is_empty());
    assert!(backends().unwrap().iter().all(|backend| !backend.name.is_empty()));

    let error = Context::builder().backend("abacus").build().unwrap_err();
    assert!(matches!(&error, Error::Argument(message) if message.contains("abacus")), "{error:?}");
    let error = Context::builder().backend("cuda").module_dir("/nowhere").build().unwrap_err();
    assert!(matches!(&error, Error::Backend(_)), "{error:?}");
    assert!(matches!(Context::builder().backend("re\0f").build(), Err(Error::Argument(_))));
    assert!(matches!(Context::builder().threads(usize::MAX).build(), Err(Error::Argument(_))));
    assert!(matches!(
        Context::builder().device(u32::MAX).backend("ref").build(),
        Err(Error::Argument(_)) | Ok(_)
    ));
    let context = Context::builder().module_dir("/nowhere").build().unwrap();

    // What was made with a context may outlive it.
    let scorer = fitted(&context, "ecod", &table(100));
    drop(context);
    assert!(scorer.score_row(&[0.0; COLS]).unwrap().is_finite());
}

#[test]
fn limits() {
    let rows = table(10_000);
    let context = Context::builder().max_bytes(100_000).build().unwrap();
    let mut scorer = scorer(&context, "knn");
    let data = Dataset::from_rows(&context, &rows).unwrap();
    let error = scorer.fit(&data).unwrap_err();
    assert!(matches!(error, Error::Limit(_)), "{error:?}");
    assert_eq!(error.status(), libdum_sys::DUM_ERR_LIMIT);
    assert!(!scorer.is_fitted());
}

#[test]
fn rows() {
    let numbers: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let context = Context::new().unwrap();
    let rows = Rows::with_stride(&numbers, 3, 2, 5).unwrap();
    assert_eq!(Dataset::from_rows(&context, rows).unwrap().read(0, 3).unwrap(), [0., 1., 5., 6., 10., 11.]);
    assert!(Rows::with_stride(&numbers, 4, 2, 5).is_err());
    assert!(Rows::with_stride(&numbers, 2, 3, 2).is_err());
    assert!(Rows::with_stride(&numbers, usize::MAX, 2, 5).is_err());
    assert!(Rows::with_stride(&numbers, 2, 2, usize::MAX).is_err());
    assert!(Rows::new(&numbers, 5).is_err() && Rows::new(&numbers, 0).is_err());
    assert_eq!(Rows::row(&numbers).unwrap().cols(), 12);
    let one = Rows::with_stride(&numbers[..2], 1, 2, usize::MAX).unwrap();
    assert_eq!(Dataset::from_rows(&context, one).unwrap().read(0, 1).unwrap(), [0., 1.]);
    assert!(Rows::new(&[], 3).unwrap().is_empty());
    let arrays = [[1.0_f32, 2.0], [3.0, 4.0]];
    let vector = arrays.to_vec();
    let pairs = [(Rows::from(&arrays), 2), (Rows::from(&arrays[..1]), 1), (Rows::from(&vector), 2)];
    for (rows, len) in pairs {
        assert_eq!((rows.len(), rows.cols()), (len, 2));
    }

    // SAFETY: three rows of two columns that lie in this vector.
    let pointed = unsafe { Rows::from_ptr(numbers.as_ptr(), 3, 2, 5) }.unwrap();
    assert!(pointed.iter().eq(rows.iter()) && pointed.iter().eq([[0., 1.], [5., 6.], [10., 11.]]));
    // SAFETY: it is refused: rows may not lie over each other.
    assert!(matches!(unsafe { Rows::from_ptr(numbers.as_ptr(), 2, 3, 2) }, Err(Error::Shape(_))));

    // Without rows or columns.
    let scorer = fitted(&context, "ecod", &table(100));
    for rows in [Rows::new(&[], COLS).unwrap(), Rows::from(&[[0.0_f32; 0]; 3]), Rows::row(&[]).unwrap()] {
        assert!(Dataset::from_rows(&context, rows).is_err());
        match scorer.score(rows) {
            Ok(scores) => assert!(scores.is_empty()),
            Err(error) => assert!(matches!(error, Error::Shape(_)), "{error:?}"),
        }
        let _ = Encoder::new(&context, "identity").unwrap().embed(rows);
        let _ = scorer.explain(rows);
        let _ = product_of_experts(rows, &vec![0.0; rows.len()], Covariance::Circular);
    }
}

#[test]
fn datasets() {
    let context = Context::new().unwrap();
    let rows = table(300);
    let folder = Folder::new("datasets");
    write_npy(&folder.path("x.npy"), &rows);
    let flat: Vec<f32> = rows.iter().flatten().copied().collect();

    let memory = Dataset::from_slice(&context, &flat, COLS).unwrap();
    let npy = Dataset::from_npy(&context, folder.path("x.npy")).unwrap();
    let closure = Dataset::from_fn(&context, rows.len(), COLS, |indices, out| {
        for (index, row) in indices.iter().zip(out.chunks_exact_mut(COLS)) {
            row.copy_from_slice(&rows[*index as usize]);
        }
        Ok(())
    })
    .unwrap();
    let mut scores = Vec::new();
    for data in [&memory, &npy, &closure] {
        assert_eq!((data.rows(), data.cols()), (300, COLS));
        assert_eq!(data.read(0, 300).unwrap(), flat);
        assert_eq!(data.read(300, 0).unwrap(), []);
        for (first, number) in [(0, 301), (300, 1), (usize::MAX, 2), (1, usize::MAX)] {
            assert!(matches!(data.read(first, number), Err(Error::Shape(_))));
        }
        let mut scorer = scorer(&context, "dum");
        scorer.fit(data).unwrap();
        scores.push(bits(&scorer.score_dataset(data).unwrap()));
    }
    assert!(scores[0] == scores[1] && scores[1] == scores[2]);

    assert!(matches!(Dataset::from_npy(&context, folder.path("none.npy")), Err(Error::Io(_))));
    std::fs::write(folder.path("bad.npy"), b"not one").unwrap();
    assert!(matches!(Dataset::from_npy(&context, folder.path("bad.npy")), Err(Error::Format(_))));
    assert!(matches!(Dataset::from_npy(&context, "a\0b"), Err(Error::Argument(_))));
    assert!(matches!(Dataset::from_slice(&context, &flat, 7), Err(Error::Shape(_))));
    assert!(matches!(Dataset::from_fn(&context, 0, 1, |_, _| Ok(())), Err(Error::Shape(_))));
    assert!(matches!(Dataset::from_fn(&context, 1, usize::MAX, |_, _| Ok(())), Err(Error::Shape(_))));
}

#[test]
fn names() {
    let context = Context::new().unwrap();
    let rows = table(100);
    let mut data = Dataset::from_rows(&context, &rows).unwrap();
    assert_eq!(data.feature_name(0), None);
    data.set_feature_names(&["a", "b", "ç", "d"]).unwrap();
    assert_eq!(
        (data.feature_name(2), data.feature_name(4), data.feature_name(usize::MAX)),
        (Some("ç"), None, None)
    );
    let mut scorer = scorer(&context, "ecod");
    scorer.fit(&data).unwrap();
    assert_eq!((scorer.feature_name(2), scorer.feature_name(9)), (Some("ç"), None));
    data.set_feature_names(&["d", "c", "b", "a"].map(String::from)).unwrap();
    assert!(matches!(scorer.score_dataset(&data), Err(Error::Argument(_))));
    assert!(matches!(data.set_feature_names(&["a"]), Err(Error::Shape(_))));
    assert!(matches!(data.set_feature_names(&[""; 0]), Err(Error::Shape(_))));
    assert!(matches!(data.set_feature_names(&["a\0", "b", "c", "d"]), Err(Error::Argument(_))));
    assert!(matches!(data.set_feature_names(&["a\n", "b", "c", "d"]), Err(Error::Argument(_))));
    assert_eq!(data.feature_name(0), Some("d"));
}

#[test]
fn options() {
    let context = Context::new().unwrap();
    assert!(Scorer::kinds().contains(&"dum"));
    for kind in Scorer::kinds() {
        let scorer = Scorer::new(&context, kind).unwrap();
        assert_eq!(scorer.kind(), kind);
        for param in Scorer::params(kind).unwrap() {
            assert!(!param.help.is_empty());
            match param.kind {
                ParamKind::Integer { default, min, max } | ParamKind::Real { default, min, max } => {
                    assert_eq!(scorer.number(&param.name), Ok(default));
                    assert!(min <= default && default <= max);
                }
                ParamKind::Text { default, .. } => assert_eq!(scorer.text(&param.name), Ok(default)),
                _ => unreachable!(),
            }
        }
    }
    assert!(Head::params().unwrap().iter().any(|param| param.name == "steps"));
    assert!(Monitor::params().unwrap().iter().any(|param| param.name == "window"));
    assert!(matches!(Scorer::params("abacus"), Err(Error::Argument(message)) if message.contains("iforest")));
    assert!(
        matches!(Scorer::new(&context, "abacus"), Err(Error::Argument(message)) if message.contains("iforest"))
    );

    let mut scorer = Scorer::new(&context, "dum").unwrap();
    scorer.set("steps", 7_u64).unwrap();
    scorer.set("norm", String::from("trace")).unwrap();
    assert_eq!((scorer.number("steps"), scorer.text("norm")), (Ok(7.0), Ok(String::from("trace"))));
    for (name, value) in [
        ("nonesuch", Value::from(1)),
        ("steps", Value::from(-1.0)),
        ("steps", Value::from(0.5)),
        ("steps", Value::from("7")),
        ("norm", Value::from("l3")),
        ("norm", Value::from(2)),
        ("no\0rm", Value::from(2)),
        ("norm", Value::from("l\0")),
    ] {
        let error = scorer.set(name, value).unwrap_err();
        assert!(matches!(error, Error::Argument(_)), "{error:?}");
        assert!(!error.message().is_empty());
    }
    assert!(scorer.number("norm").is_err() && scorer.text("steps").is_err());
    assert!(scorer.with("steps", -1).is_err());
}

#[test]
fn scorers() {
    let context = Context::new().unwrap();
    let rows = table(400);
    let mut scorer =
        scorer(&context, "dum").with("holdout", 0.25).unwrap().with("covariance", "diagonal").unwrap();
    assert_eq!((scorer.cols(), scorer.is_fitted(), scorer.calibration_count()), (0, false, 0));
    let error = scorer.score_row(&rows[0]).unwrap_err();
    assert!(matches!(error, Error::State(_)), "{error:?}");
    let encoder = Encoder::new(&context, "identity").unwrap();
    assert_eq!(encoder.embedding_cols(5), Some(5));
    scorer.set_encoder(&encoder).unwrap();
    drop(encoder);
    scorer.fit(&Dataset::from_rows(&context, &rows).unwrap()).unwrap();
    assert_eq!((scorer.cols(), scorer.is_fitted(), scorer.calibration_count()), (COLS, true, 100));
    assert!(format!("{scorer:?}").contains("dum"));

    let scores = scorer.score(&rows).unwrap();
    for (row, score) in rows.iter().zip(&scores) {
        assert_eq!(scorer.score_row(row).unwrap().to_bits(), score.to_bits());
    }
    let mut into = vec![0.0; 400];
    scorer.score_into(&rows, &mut into).unwrap();
    assert_eq!(bits(&into), bits(&scores));
    assert!(matches!(scorer.score_into(&rows, &mut into[1..]), Err(Error::Shape(_))));

    let share = scorer.explain(&rows[..2]).unwrap();
    assert!((share[..COLS].iter().sum::<f32>() - 1.0).abs() < 1e-4);
    assert!(scorer.deviation(&rows[..2]).unwrap().iter().all(|deviation| *deviation > 0.0));

    let threshold = scorer.threshold(0.1).unwrap();
    let p = scorer.p_values(&scores).unwrap();
    for (score, p) in scores.iter().zip(p) {
        assert_eq!(*score > threshold, p <= 0.1 - 1e-9, "{score} {p} {threshold}");
    }
    assert!(matches!(scorer.threshold(1e-6), Err(Error::Argument(_))));
    assert!(matches!(scorer.p_values(&[f64::NAN]), Err(Error::Nonfinite(_))));
    assert_eq!(scorer.p_values(&[]).map_or(0, |p| p.len()), 0);
    scorer.calibrate(&Dataset::from_rows(&context, &rows[..50]).unwrap()).unwrap();
    assert_eq!(scorer.calibration_count(), 50);

    for row in [&[1.0, 2.0][..], &[1.0; 5]] {
        assert!(matches!(scorer.score_row(row), Err(Error::Shape(_))));
    }
    let error = scorer.score(&[[0.0; COLS], [1.0, f32::NAN, 0.0, 0.0]]).unwrap_err();
    assert!(matches!(&error, Error::Nonfinite(message) if message.contains("row 1")), "{error:?}");
    assert!(matches!(scorer.set("steps", 5), Err(Error::State(_))));
    let knn = fitted(&context, "iforest", &rows);
    assert!(matches!(knn.explain(&rows[..1]), Err(Error::Unsupported(_))));
    assert!(matches!(knn.threshold(0.1), Err(Error::State(_))));

    let mut bad = rows.clone();
    bad[7][2] = f32::INFINITY;
    let mut fresh = common::scorer(&context, "knn");
    let error = fresh.fit(&Dataset::from_rows(&context, &bad).unwrap()).unwrap_err();
    assert!(matches!(&error, Error::Nonfinite(message) if message.contains('7')), "{error:?}");
    let dynamic: Box<dyn std::error::Error + Send + Sync> = error.clone().into();
    assert_eq!(dynamic.to_string(), error.message());
}

#[test]
fn every_kind_saves_and_loads() {
    let context = Context::new().unwrap();
    let rows = table(120);
    let folder = Folder::new("kinds");
    for kind in kinds() {
        let scorer = fitted(&context, kind, &rows);
        let scores = bits(&scorer.score(&rows).unwrap());
        let path = folder.path("m.dum");
        scorer.save(&path).unwrap();
        let bytes = scorer.to_bytes().unwrap();
        assert_eq!(bytes, std::fs::read(&path).unwrap());
        for loaded in [Scorer::load(&context, &path).unwrap(), Scorer::from_bytes(&context, &bytes).unwrap()]
        {
            assert_eq!(loaded.kind(), kind);
            assert_eq!(bits(&loaded.score(&rows).unwrap()), scores);
        }
        let info = inspect(&context, &path).unwrap();
        assert_eq!(info.kind, format!("scorer.{kind}"));
        assert_eq!((info.sha256.len(), info.writer.starts_with("libdum ")), (64, true));

        let mut damaged = bytes.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(Scorer::from_bytes(&context, &damaged).is_err());
        assert!(Scorer::from_bytes(&context, &bytes[..bytes.len() / 2]).is_err());
        assert!(Head::from_bytes(&context, &bytes).is_err());
    }
    assert!(Scorer::from_bytes(&context, &[]).is_err());
    assert!(matches!(Scorer::load(&context, folder.path("none.dum")), Err(Error::Io(_))));
    assert!(matches!(scorer(&context, "knn").to_bytes(), Err(Error::State(_))));
    let unwritable = folder.path("none").join("m.dum");
    assert!(matches!(fitted(&context, "knn", &rows).save(unwritable), Err(Error::Io(_))));
}

#[test]
fn heads() {
    let context = Context::new().unwrap();
    let rows = table(200);
    let data = Dataset::from_rows(&context, &rows).unwrap();
    let mut head =
        Head::new(&context).unwrap().with("steps", 10).unwrap().with("covariance", "diagonal").unwrap();
    assert!(matches!(head.log_variance(&rows), Err(Error::State(_))));
    head.fit(&data).unwrap();
    assert_eq!((head.cols(), head.log_variance_cols()), (COLS, COLS));
    let log_variance = head.log_variance(&rows).unwrap();
    assert_eq!(log_variance.len(), 200 * COLS);
    let loaded = Head::from_bytes(&context, &head.to_bytes().unwrap()).unwrap();
    assert_eq!(loaded.log_variance(&rows).unwrap(), log_variance);
    assert!(matches!(head.log_variance(&[[0.0; 2]]), Err(Error::Shape(_))));

    // On from what it learned, and with a second view of the rows.
    let before = head.to_bytes().unwrap();
    assert_eq!(head.fit_with(&data, FitOptions::new().warm_start(true).pairs(&data)), Ok(Outcome::Complete));
    assert_ne!(head.to_bytes().unwrap(), before);
    let fewer = Dataset::from_rows(&context, &rows[..100]).unwrap();
    assert!(matches!(head.fit_with(&data, FitOptions::new().pairs(&fewer)), Err(Error::Shape(_))));
}

#[test]
fn experts() {
    let (mean, log_variance) =
        product_of_experts(&[[0.0, 0.0], [3.0, 3.0]], &[0.0, 0.0, 2.0_f32.ln(), 0.0], Covariance::Diagonal)
            .unwrap();
    assert!((mean[0] - 1.0).abs() < 1e-6 && (mean[1] - 1.5).abs() < 1e-6);
    assert!((log_variance[0] - (2.0_f32 / 3.0).ln()).abs() < 1e-6);
    let means = [[0.0, 0.0], [3.0, 3.0]];
    assert!(matches!(product_of_experts(&means, &[0.0], Covariance::Circular), Err(Error::Shape(_))));
    let gaps = Rows::with_stride(&[0.0; 4], 2, 1, 3).unwrap();
    assert!(matches!(product_of_experts(gaps, &[0.0; 2], Covariance::Circular), Err(Error::Shape(_))));
    let bad = product_of_experts(&means, &[0.0, f32::NAN], Covariance::Circular);
    assert!(matches!(bad, Err(Error::Nonfinite(_))));
}

#[test]
fn monitors() {
    let context = Context::new().unwrap();
    let rows = table(3000);
    let (train, rest) = rows.split_at(500);
    let scorer = fitted(&context, "mahalanobis", train);
    let mut monitor = Monitor::new(&context).unwrap().with("test", "cusum").unwrap();
    assert!(matches!(monitor.push_scores(&[1.0]), Err(Error::State(_))));
    assert!(matches!(monitor.read(), Err(Error::State(_))));
    monitor.fit(&scorer, &Dataset::from_rows(&context, &rest[..2000]).unwrap()).unwrap();
    assert!(!monitor.push_rows(&scorer, &rest[2000..2100]).unwrap());
    let state = monitor.read().unwrap();
    assert_eq!((state.rows, state.bad_rows, state.alarm, state.alarm_row), (100, 0, false, None));
    let odd: Vec<[f32; COLS]> = rest[2100..].iter().map(|row| row.map(|number| number * 3.0 + 2.0)).collect();
    assert!(monitor.push_rows(&scorer, &odd).unwrap());
    let state = monitor.read().unwrap();
    assert!(state.alarm && state.alarm_row > Some(100) && state.alarms == 1 && state.auroc > 0.6);
    let top = monitor.top(3).unwrap();
    assert!(top.len() == 3 && top[0].score >= top[1].score && top[0].row.is_some());
    assert!(monitor.top(0).is_err() && monitor.top(101).is_err() && monitor.top(usize::MAX).is_err());
    let loaded = Monitor::from_bytes(&context, &monitor.to_bytes().unwrap()).unwrap();
    // A window of a single value has no statistics: NaN is not equal to itself, so by text.
    assert_eq!(format!("{:?}", loaded.read()), format!("{:?}", monitor.read()));
    monitor.reset().unwrap();
    assert!(!monitor.read().unwrap().alarm);
    assert!(!monitor.push_scores(&[f64::NAN]).unwrap());
    assert_eq!(monitor.read().unwrap().bad_rows, 1);
    let other = fitted(&context, "knn", train);
    assert!(matches!(monitor.push_rows(&other, &odd), Err(Error::Argument(_))));
    assert!(matches!(monitor.fit_scores(&[1.0, f64::NAN]), Err(Error::Nonfinite(_) | Error::Shape(_))));
}

#[test]
fn statistics() {
    let scores = [0.1, 0.4, 0.35, 0.8, 0.7, 0.2];
    let labels = [false, false, true, true, true, false];
    let by = |method| Interval::new().method(method).confidence(0.9).resamples(200).seed(3);
    let area = stats::auroc(&scores, &labels, &by(Method::DeLong)).unwrap();
    assert!((area.value - 8.0 / 9.0).abs() < 1e-12 && area.low < area.value);
    let none = stats::auroc(&scores, &labels, &Interval::none()).unwrap();
    assert_eq!((none.value, none.low, none.high), (area.value, area.value, area.value));
    let precision = stats::average_precision(&scores, &labels, &by(Method::Bootstrap)).unwrap();
    assert!(precision.low <= precision.value && precision.value <= precision.high);
    assert!(stats::fpr95(&scores, &labels, &Interval::new()).unwrap().value > 0.0);
    assert!(matches!(stats::fpr95(&scores, &labels, &by(Method::DeLong)), Err(Error::Argument(_))));
    assert!(matches!(stats::auroc(&scores, &labels[1..], &Interval::new()), Err(Error::Shape(_))));
    assert!(matches!(stats::auroc(&scores, &[true; 6], &Interval::new()), Err(Error::Argument(_))));
    assert!(matches!(stats::auroc(&[], &[], &Interval::new()), Err(Error::Argument(_))));
    let bad = [0.1, f64::NAN, 0.35, 0.8, 0.7, 0.2];
    assert!(matches!(stats::auroc(&bad, &labels, &Interval::new()), Err(Error::Nonfinite(_))));

    let test = stats::ttest(&[1.0, 2.0, 3.0], &[2.0, 3.0, 4.0], TTest::Pooled).unwrap();
    assert!((test.t + 1.5_f64.sqrt()).abs() < 1e-12 && test.df == 4.0 && test.mean_difference == -1.0);
    assert!(stats::ttest(&[1.0], &[2.0, 3.0], TTest::Welch).is_err());
    assert!(stats::ttest(&[1.0; 3], &[1.0; 3], TTest::Welch).is_err());

    assert_eq!(stats::false_discoveries(&[5.0, 0.1, 4.0], 0.05, Fdr::Plain).unwrap(), [true, false, true]);
    assert_eq!(stats::false_discoveries(&[1.4, 0.1], 0.05, Fdr::Any).unwrap(), [false, false]);
    assert!(matches!(stats::false_discoveries(&[], 0.05, Fdr::Plain), Err(Error::Argument(_))));
    assert!(matches!(stats::false_discoveries(&[1.0], 2.0, Fdr::Plain), Err(Error::Argument(_))));
}
