// SPDX-License-Identifier: MIT
//! The declarations are those of the repository's dum.h. `tools/declarations.sh --check` compares every character, where
//! bindgen is; this compares names, everywhere, and with the library that is loaded.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs;
use std::path::Path;

use libdum_sys as sys;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is not in a comment.
fn code(header: &str) -> String {
    let mut parts = header.split("/*");
    let first = parts.next().unwrap_or_default().to_string();
    first + &parts.filter_map(|part| part.split_once("*/")).map(|(_, after)| after).collect::<String>()
}

/// Words that begin so, and have this character behind them where there is one.
fn words(text: &str, prefix: &str, behind: Option<char>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_alphanumeric() || c == '_') {
        let word = &rest[start..];
        let end = word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len());
        let follows = word[end..].chars().next();
        if word.starts_with(prefix) && (behind.is_none() || follows == behind) {
            found.insert(word[..end].to_string());
        }
        rest = &word[end..];
    }
    found
}

#[test]
fn every_name_of_the_header_is_declared() {
    let header = code(&read("../../../include/dum.h"));
    let declarations = read("src/declarations.rs");
    let functions = words(&header, "dum_", Some('('));
    assert!(functions.len() > 60);
    let declared: BTreeSet<String> = words(&declarations, "dum_", Some('('))
        .into_iter()
        .filter(|name| declarations.contains(&format!("pub fn {name}(")))
        .collect();
    assert_eq!(functions, declared, "run bindings/rust/tools/declarations.sh");

    let macros = ["DUM_H", "DUM_API", "DUM_NODISCARD", "DUM_BUILDING", "DUM_INIT"].map(String::from);
    let constants = &words(&header, "DUM_", None) - &BTreeSet::from(macros);
    let declared = words(&declarations, "DUM_", None);
    assert_eq!(constants, declared, "run bindings/rust/tools/declarations.sh");
}

#[test]
fn the_library_is_of_this_version() {
    let header = CStr::from_bytes_with_nul(sys::DUM_VERSION).unwrap();
    // SAFETY: static text.
    let loaded = unsafe { CStr::from_ptr(sys::dum_version()) };
    assert_eq!(header, loaded);
    assert_eq!(header.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}
