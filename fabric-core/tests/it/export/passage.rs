//! What PyTorch wrote, written again: the same entries, bit for bit.

use std::path::{Path, PathBuf};

use fabric_core::{ExportOptions, Fabric, RawCheckpoint};

fn torch_files() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pytorch");
    let files = std::fs::read_dir(fixtures).unwrap().map(|file| file.unwrap().path());
    let is_torch = |path: &PathBuf| path.extension().is_some_and(|end| end == "pt" || end == "ckpt");
    files.filter(is_torch).collect()
}

/// An object of Python's that is not read, and that no other file can hold either.
fn leaf(raw: &RawCheckpoint) -> Option<&str> {
    let is_leaf = |name: &&str| {
        let value = raw.stored_value(name);
        value.is_ok_and(|value| value.decode::<serde::de::IgnoredAny>().is_err())
    };
    raw.names().into_iter().find(is_leaf)
}

#[test]
fn every_file_of_pytorch_comes_through_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let fabric = Fabric::new();
    let files = torch_files();
    assert!(files.len() > 20, "only {} files were found", files.len());
    for path in files {
        let original = fabric.open(&path).unwrap();
        let exported = fabric.export(&path, at("again.pt"), ExportOptions::new());
        if let Some(leaf) = leaf(&original) {
            let error = exported.unwrap_err().to_string();
            assert!(error.contains(&format!("`{leaf}`")), "{}: {error}", path.display());
            continue;
        }
        exported.unwrap();
        let again = fabric.open(at("again.pt")).unwrap();
        assert_eq!(original.names(), again.names(), "{}", path.display());
        let values = original
            .names()
            .into_iter()
            .filter(|name| original.info(name).is_none());
        for name in values {
            let (value, again) = (original.stored_value(name).unwrap(), again.stored_value(name).unwrap());
            // As texts: a NaN does not equal itself.
            let [value, again] = [value, again].map(|value| format!("{value:?}"));
            assert_eq!(value, again, "{name} of {}", path.display());
        }
        // Every bit of every tensor, of types that candle lacks too.
        if original.names().into_iter().any(|name| original.info(name).is_some()) {
            fabric
                .export_raw(&original, at("a.safetensors"), ExportOptions::new())
                .unwrap();
            fabric
                .export_raw(&again, at("b.safetensors"), ExportOptions::new())
                .unwrap();
            let [a, b] = ["a.safetensors", "b.safetensors"].map(|name| std::fs::read(at(name)).unwrap());
            assert!(a == b, "{}", path.display());
        }
    }
}
