// SPDX-License-Identifier: MIT
//! C and Rust give the same bits and read each other's files. DUM_TOOL says where the tool `dum` is; without it, nothing
//! is compared with C. The golden models are those of tests/golden.

mod common;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{bits, kinds, scorer, short, table, write_array, write_npy, Folder, COLS};
use libdum::*;

fn tool(arguments: &[&dyn AsRef<OsStr>]) {
    let done = Command::new(env::var_os("DUM_TOOL").unwrap()).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn no_tool() -> bool {
    let missing = env::var_os("DUM_TOOL").is_none();
    if missing {
        eprintln!("DUM_TOOL does not say where the tool dum is: C and Rust are not compared");
    }
    missing
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden")
}

/// The rows of a file of numbers, of any precision; a first line of names is left out.
fn csv<T: std::str::FromStr>(path: &Path) -> Vec<Vec<T>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter_map(|line| line.split(',').map(|number| number.parse().ok()).collect()).collect()
}

fn column(path: &Path) -> Vec<f64> {
    csv(path).into_iter().map(|row| row[0]).collect()
}

fn golden_models() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() == Some(OsStr::new("dum")))
        .collect();
    found.sort();
    assert!(found.len() > 20);
    found
}

#[test]
fn golden_models_score_the_same_bits() {
    let rows: Vec<Vec<f32>> = csv(&golden().join("rows.csv"));
    let flat: Vec<f32> = rows.iter().flatten().copied().collect();
    let context = Context::new().unwrap();
    let folder = Folder::new("golden");
    let compared = !no_tool();
    for path in golden_models() {
        if inspect(&context, &path).unwrap().kind == "monitor" {
            continue;
        }
        let scorer = Scorer::load(&context, &path).unwrap();
        assert_eq!(scorer.feature_name(0), Some("alpha"));
        let scores = scorer.score(Rows::new(&flat, rows[0].len()).unwrap()).unwrap();
        // Processors differ in the last bits.
        for (score, expected) in scores.iter().zip(column(&path.with_extension("csv"))) {
            assert!((score - expected).abs() <= 1e-4 * (1.0 + score.abs()), "{path:?}: {score} {expected}");
        }
        if compared {
            let out = folder.path("s.csv");
            tool(&[&"score", &"--model", &path, &"--data", &golden().join("rows.csv"), &"--out", &out]);
            assert_eq!(bits(&scores), bits(&column(&out)), "{path:?}");
        }
    }
}

#[test]
fn golden_monitors_go_on() {
    let rows: Vec<Vec<f32>> = csv(&golden().join("rows.csv"));
    let context = Context::new().unwrap();
    for path in golden_models() {
        if inspect(&context, &path).unwrap().kind != "monitor" {
            continue;
        }
        let monitor = Monitor::load(&context, &path).unwrap();
        let top = monitor.top(1).unwrap();
        assert_eq!(top[0].row.is_none(), path.to_string_lossy().contains("unnumbered"));
        for (row, expected) in rows.iter().zip(csv::<f64>(&path.with_extension("csv"))) {
            monitor.push_scores(&[f64::from(row[0])]).unwrap();
            let state = monitor.read().unwrap();
            let found = [state.statistic, state.threshold, state.alarms as f64, state.bad_rows as f64];
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-4 * (1.0 + found.abs()), "{path:?}");
            }
        }
    }
}

/// The same data, options and seed: the same file, from the tool and from here; each scores with the other's.
#[test]
fn the_tool_fits_the_same_bits() {
    if no_tool() {
        return;
    }
    let context = Context::new().unwrap();
    let rows = table(200);
    let folder = Folder::new("bits");
    let (data, c, rust, out) =
        (folder.path("x.npy"), folder.path("c.dum"), folder.path("r.dum"), folder.path("s.csv"));
    write_npy(&data, &rows);
    for kind in kinds() {
        let setting =
            short(kind).map_or(String::from("holdout=0"), |(name, value)| format!("{name}={value}"));
        tool(&[&"fit", &"--scorer", &kind, &"--data", &data, &"--model", &c, &"--set", &setting]);
        let mut here = scorer(&context, kind);
        here.fit(&Dataset::from_rows(&context, &rows).unwrap()).unwrap();
        here.save(&rust).unwrap();
        assert!(fs::read(&c).unwrap() == fs::read(&rust).unwrap(), "{kind}: the files differ");
        tool(&[&"score", &"--model", &rust, &"--data", &data, &"--out", &out]);
        let scores = here.score(&rows).unwrap();
        assert_eq!(bits(&scores), bits(&column(&out)), "{kind}");
        assert_eq!(bits(&Scorer::load(&context, &c).unwrap().score(&rows).unwrap()), bits(&scores), "{kind}");
        assert_eq!(here.cols(), COLS);
    }
}

/// The same for encoders: trained on `data`, which lie in x.npy of the folder.
fn the_tool_trains_the_same(
    folder: &Folder,
    data: &Dataset,
    kind: &str,
    options: &[(&str, &str)],
    labels: Option<&[i32]>,
) {
    let context = Context::new().unwrap();
    let (x, c, rust, out) =
        (folder.path("x.npy"), folder.path("c.dum"), folder.path("r.dum"), folder.path("z.csv"));
    let settings: Vec<String> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut words: Vec<&dyn AsRef<OsStr>> = vec![&"encoder", &x, &"--kind", &kind, &"--out", &c];
    for setting in &settings {
        words.extend([&"--set" as &dyn AsRef<OsStr>, setting]);
    }
    let y = folder.path("y.npy");
    if let Some(labels) = labels {
        let bytes: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        write_array(&y, "<i4", &format!("{},", labels.len()), &bytes);
        words.extend([&"--labels" as &dyn AsRef<OsStr>, &y]);
    }
    tool(&words);

    let mut here = Encoder::new(&context, kind).unwrap();
    for &(name, value) in options {
        match value.parse::<f64>() {
            Ok(number) => here.set(name, number).unwrap(),
            Err(_) => here.set(name, value).unwrap(),
        }
    }
    let fit = labels.map_or(FitOptions::new(), |labels| FitOptions::new().labels(labels));
    here.fit_with(data, fit).unwrap();
    here.save(&rust).unwrap();
    assert!(fs::read(&c).unwrap() == fs::read(&rust).unwrap(), "{kind}: the files differ");
    tool(&[&"embed", &rust, &x, &"--out", &out]);
    let bits = |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
    let expected = bits(here.embed_dataset(data).unwrap());
    assert_eq!(expected, bits(csv(&out).concat()), "{kind}");
    let loaded = Encoder::load(&context, &c).unwrap();
    assert_eq!(expected, bits(loaded.embed_dataset(data).unwrap()), "{kind}");
}

#[test]
fn the_tool_trains_the_same_encoder() {
    if no_tool() {
        return;
    }
    let context = Context::new().unwrap();
    let folder = Folder::new("encoders");
    let rows = table(200);
    write_npy(&folder.path("x.npy"), &rows);
    let mut options = vec![
        ("seed", "5"),
        ("layers", "1"),
        ("units", "8"),
        ("embedding", "4"),
        ("batch", "50"),
        ("epochs", "2"),
    ];
    the_tool_trains_the_same(&folder, &Dataset::from_rows(&context, &rows).unwrap(), "mlp", &options, None);

    let pixels: Vec<u8> = (0..60 * 192).map(|i| (i * i % 251) as u8).collect();
    let labels: Vec<i32> = (0..60).map(|i| i % 3).collect();
    write_array(&folder.path("x.npy"), "|u1", "60, 8, 8, 3", &pixels);
    let images = Dataset::from_bytes(&context, &pixels, 192).unwrap();
    options = vec![
        ("seed", "5"),
        ("height", "8"),
        ("width", "8"),
        ("depth", "8"),
        ("units", "4"),
        ("batch", "20"),
        ("epochs", "1"),
    ];
    the_tool_trains_the_same(&folder, &images, "resnet", &options, None);
    options.push(("objective", "supervised"));
    the_tool_trains_the_same(&folder, &images, "resnet", &options, Some(&labels));
}
