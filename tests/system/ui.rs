//! Invalid schemas, one mistake a file: the compiler must refuse each with the words beside it.
//!
//! To accept new words: `TRYBUILD=overwrite cargo test --workspace --test system ui::`, then read every line that changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler whose words the `.stderr` files hold; others say the same differently.
const BLESSED: &str = "rustc 1.95.";

#[test]
fn every_invalid_schema_is_refused_in_the_expected_words() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !version.starts_with(BLESSED) {
        println!(
            "skipped: messages are blessed for {BLESSED}x, this is {}",
            version.trim()
        );
        return;
    }
    let cases = trybuild::TestCases::new();
    for case in files_with_extension("rs") {
        cases.compile_fail(case.with_extension("rs"));
    }
}

#[test]
fn every_case_has_its_words_and_no_words_are_left_over() {
    let cases = files_with_extension("rs");
    let words = files_with_extension("stderr");
    assert!(cases.len() > 30, "the cases are missing");
    let silent: Vec<_> = cases.difference(&words).collect();
    let orphans: Vec<_> = words.difference(&cases).collect();
    assert!(silent.is_empty(), "cases without a .stderr file: {silent:?}");
    assert!(orphans.is_empty(), ".stderr files without a case: {orphans:?}");
}

/// Every file below `tests/ui` with this extension, without it.
fn files_with_extension(extension: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    collect(Path::new("ui"), extension, &mut found);
    found
}

fn collect(folder: &Path, extension: &str, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.insert(path.with_extension(""));
        }
    }
}
