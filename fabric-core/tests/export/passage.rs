//! What PyTorch wrote, written again: the same entries, bit for bit.

use std::path::{Path, PathBuf};

use fabric_core::{ExportOptions, Fabric};

fn torch_files() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pytorch");
    let files = std::fs::read_dir(fixtures).unwrap().map(|file| file.unwrap().path());
    let is_torch = |path: &PathBuf| path.extension().is_some_and(|end| end == "pt" || end == "ckpt");
    files.filter(is_torch).collect()
}

#[test]
fn every_file_of_pytorch_comes_through_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let fabric = Fabric::new();
    let files = torch_files();
    assert!(files.len() > 20, "only {} files were found", files.len());
    for path in files {
        fabric.export(&path, at("again.pt"), ExportOptions::new()).unwrap();
        let (original, again) = (fabric.open(&path).unwrap(), fabric.open(at("again.pt")).unwrap());
        assert_eq!(original.names(), again.names(), "{}", path.display());
        let values = original
            .names()
            .into_iter()
            .filter(|name| original.info(name).is_none());
        for name in values {
            let (value, again) = (original.stored_value(name).unwrap(), again.stored_value(name).unwrap());
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
