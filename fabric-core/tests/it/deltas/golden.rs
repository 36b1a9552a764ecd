//! Deltas of every released version are applied: `BLESS=1 cargo test --workspace --test it deltas::golden` writes one of this
//! version, if there is none.

use std::path::Path;

use fabric_core::ExportOptions;
use testkit::files::read;

use super::files::{BASE, DELTA, MADE, NEW, full, put, small, with_delta};

#[test]
fn deltas_of_earlier_versions_are_applied() {
    let (old, new) = small();
    let (fabric, memory, _) = with_delta(&old, &new);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/weights-1.0.delta");
    if std::env::var_os("BLESS").is_some() && !file.exists() {
        std::fs::write(&file, read(&memory, DELTA)).expect("the folder is there");
    }
    put(&memory, DELTA, &std::fs::read(file).expect("a file of the repository"));
    fabric.apply_delta(BASE, DELTA, MADE).expect("the delta fits");
    assert!(read(&memory, MADE) == full(&fabric, &memory, NEW, ExportOptions::new()));
}
