// SPDX-License-Identifier: MIT
//! Asks pkg-config where libdum is.

use std::env;
use std::process::{exit, Command};

fn pkg_config(arguments: &[&str]) -> String {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let problem = match Command::new(&program).args(arguments).output() {
        Ok(done) if done.status.success() => return String::from_utf8_lossy(&done.stdout).into_owned(),
        Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_string(),
        Err(error) => format!("{} cannot be run: {}", program.to_string_lossy(), error),
    };
    eprintln!("libdum was not found. Is it installed, and does PKG_CONFIG_PATH name the folder of dum.pc?\n{problem}");
    exit(1)
}

/// Splits at spaces; a backslash keeps the character after it.
fn words(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            c if c.is_whitespace() => found.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    found.push(word);
    found
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["DUM_STATIC", "PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "PKG_CONFIG_SYSROOT_DIR"]
    {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let wanted = format!("dum >= {version}");
    let fixed = env::var("DUM_STATIC").map_or(false, |value| !value.is_empty() && value != "0");
    let libs =
        if fixed { pkg_config(&["--static", "--libs", &wanted]) } else { pkg_config(&["--libs", &wanted]) };
    for flag in words(&libs) {
        if let Some(folder) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        } else if let Some(name) = flag.strip_prefix("-l") {
            let kind = if fixed && name == "dum" { "static=" } else { "" };
            println!("cargo:rustc-link-lib={kind}{name}");
        }
    }
    println!("cargo:include={}", pkg_config(&["--variable=includedir", "dum"]).trim());
}
