// SPDX-License-Identifier: MIT
//! What several tests use.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use libdum::{Context, Dataset, Scorer};

pub const COLS: usize = 4;

/// Rows that are the same in every run: a plane in four dimensions, with noise.
pub fn table(rows: usize) -> Vec<[f32; COLS]> {
    let mut state: u64 = 1;
    let mut next = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..rows)
        .map(|_| {
            let (a, b) = (next() * 4.0, next() * 3.0);
            [a + next() * 0.1, b + next() * 0.1, a - b + next() * 0.1, next()]
        })
        .collect()
}

/// The kinds of scorers that take any rows; the others stand on certain outputs of an encoder.
pub fn kinds() -> Vec<&'static str> {
    let apart = ["energy", "gram", "mds", "msp", "rotation", "uncertainty", "vim"];
    Scorer::kinds().into_iter().filter(|kind| !apart.contains(kind)).collect()
}

/// Options that make a fit short.
pub fn short(kind: &str) -> Option<(&'static str, u32)> {
    match kind {
        "dum" | "repen" => Some(("steps", 10)),
        "autoencoder" | "deepsvdd" => Some(("epochs", 3)),
        _ => None,
    }
}

/// A scorer of a kind whose fit is short.
pub fn scorer(context: &Context, kind: &str) -> Scorer {
    let mut scorer = Scorer::new(context, kind).unwrap();
    if let Some((name, value)) = short(kind) {
        scorer.set(name, value).unwrap();
    }
    scorer
}

/// The same, fitted to rows.
pub fn fitted(context: &Context, kind: &str, rows: &[[f32; COLS]]) -> Scorer {
    let mut scorer = scorer(context, kind);
    scorer.fit(&Dataset::from_rows(context, rows).unwrap()).unwrap();
    scorer
}

/// As bits, so that NaN is itself and the two zeros are two.
pub fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// A folder that ends with this.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("libdum-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A .npy file; `kind` is NumPy's name of what `data` holds.
pub fn write_array(path: &Path, kind: &str, shape: &str, data: &[u8]) {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).unwrap();
}

/// The same of float32.
pub fn write_npy(path: &Path, rows: &[[f32; COLS]]) {
    let bytes: Vec<u8> = rows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    write_array(path, "<f4", &format!("{}, {COLS}", rows.len()), &bytes);
}
