//! Directories from a model hub: an index and the parts that it names.

use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;
use fabric_core::{Error, Fabric, LoadOptions};
use serde_json::json;

use testkit::states::{Mlp, tensor, weights};

const FIRST: &str = "model-00001-of-00002.safetensors";
const SECOND: &str = "model-00002-of-00002.safetensors";

fn part(directory: &Path, file: &str, tensors: &[(&str, Tensor)]) {
    let tensors: HashMap<&str, Tensor> = tensors.iter().cloned().collect();
    candle_core::safetensors::save(&tensors, directory.join(file)).unwrap();
}

fn index(directory: &Path, weight_map: &serde_json::Value) {
    let index = json!({"metadata": {"total_size": 1}, "weight_map": weight_map});
    std::fs::write(directory.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

fn whole_map() -> serde_json::Value {
    json!({"fc1.weight": FIRST, "fc1.bias": FIRST, "fc2.weight": SECOND, "fc2.bias": SECOND})
}

/// A model of two parts, with the files that a hub puts beside it.
fn model(seed: u64) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let Mlp { fc1, fc2 } = Mlp::new(seed);
    let both = |layer: &candle_nn::Linear| (layer.weight().clone(), layer.bias().unwrap().clone());
    let ((w1, b1), (w2, b2)) = (both(&fc1), both(&fc2));
    part(directory.path(), FIRST, &[("fc1.weight", w1), ("fc1.bias", b1)]);
    part(directory.path(), SECOND, &[("fc2.weight", w2), ("fc2.bias", b2)]);
    index(directory.path(), &whole_map());
    std::fs::write(directory.path().join("config.json"), "{}").unwrap();
    directory
}

fn refused(directory: &Path) -> Error {
    let mut live = Mlp::new(9);
    let error = Fabric::new()
        .load_raw_with(directory, &mut live, LoadOptions::new().strict(false))
        .unwrap_err();
    assert_eq!(weights(&live), weights(&Mlp::new(9)));
    error
}

#[test]
fn a_model_in_two_parts_is_one_checkpoint() {
    let directory = model(1);
    let mut live = Mlp::new(2);
    let loaded = Fabric::new().load_raw(directory.path(), &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    assert_eq!(weights(&live), weights(&Mlp::new(1)));
    assert_eq!(Fabric::new().open(directory.path()).unwrap().len(), 4);
}

#[test]
fn a_directory_with_a_model_in_one_piece_needs_no_index() {
    let directory = tempfile::tempdir().unwrap();
    let parameters = fabric_core::named_parameters(&Mlp::new(1));
    let named: Vec<(&str, Tensor)> = parameters
        .iter()
        .map(|(name, var)| (name.as_str(), var.as_tensor().clone()))
        .collect();
    part(directory.path(), "model.safetensors", &named);
    let mut live = Mlp::new(2);
    Fabric::new().load_raw(directory.path(), &mut live).unwrap();
    assert_eq!(weights(&live), weights(&Mlp::new(1)));
}

#[test]
fn a_missing_part_is_named() {
    let directory = model(1);
    std::fs::remove_file(directory.path().join(SECOND)).unwrap();
    let text = refused(directory.path()).to_string();
    assert!(text.contains(SECOND), "{text}");
}

#[test]
fn an_index_that_leads_out_of_its_directory_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    part(
        outside.path(),
        "secret.safetensors",
        &[("fc1.weight", tensor(1, (8, 4)))],
    );
    let absolute = outside.path().join("secret.safetensors");
    let relative = format!(
        "../{}/secret.safetensors",
        outside.path().file_name().unwrap().to_str().unwrap()
    );
    let traversals = [
        relative.as_str(),
        absolute.to_str().unwrap(),
        "..",
        ".",
        "",
        "sub/part.safetensors",
        "a\\b.safetensors",
    ];
    for file in traversals {
        let directory = tempfile::tempdir().unwrap();
        index(directory.path(), &json!({"fc1.weight": file}));
        let text = refused(directory.path()).to_string();
        assert!(text.contains("is no plain name in its directory"), "{file:?}: {text}");
    }
}

#[test]
fn an_entry_in_two_files_is_refused() {
    let directory = model(1);
    let extra = [
        ("fc2.weight", tensor(1, (2, 8))),
        ("fc2.bias", tensor(1, 2)),
        ("fc1.bias", tensor(1, 8)),
    ];
    part(directory.path(), SECOND, &extra);
    let text = refused(directory.path()).to_string();
    assert!(text.contains("`fc1.bias`") && text.contains(SECOND), "{text}");
}

#[test]
fn an_entry_that_the_index_does_not_name_is_refused() {
    let directory = model(1);
    let mut map = whole_map();
    map.as_object_mut().unwrap().remove("fc1.bias");
    index(directory.path(), &map);
    let text = refused(directory.path()).to_string();
    assert!(text.contains("`fc1.bias`, which the index gives to no file"), "{text}");
}

#[test]
fn an_entry_that_no_file_has_is_refused() {
    let directory = model(1);
    let mut map = whole_map();
    map["fc3.weight"] = json!(SECOND);
    index(directory.path(), &map);
    let text = refused(directory.path()).to_string();
    assert!(
        text.contains("lacks entry `fc3.weight`, which the index says it holds"),
        "{text}"
    );
}

#[test]
fn two_indexes_are_two_models_unless_one_has_the_name_of_the_model() {
    let directory = model(1);
    let index = |name: &str| directory.path().join(format!("{name}.safetensors.index.json"));
    std::fs::write(index("other"), "{}").unwrap();
    let mut live = Mlp::new(2);
    Fabric::new().load_raw(directory.path(), &mut live).unwrap();
    assert_eq!(
        weights(&live),
        weights(&Mlp::new(1)),
        "transformers takes this one as well"
    );
    std::fs::rename(index("model"), index("mine")).unwrap();
    let text = refused(directory.path()).to_string();
    assert!(text.contains("2 index files"), "{text}");
}

#[test]
fn an_index_that_is_none_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("model.safetensors.index.json"), "").unwrap();
    let error = refused(empty.path());
    assert!(matches!(error, Error::UnknownFormat { .. }), "never whole: {error}");
    assert!(error.to_string().contains("it is empty"), "{error}");
    for text in [
        "[]",
        "{}",
        "{\"weight_map\": 3}",
        "{\"weight_map\": {\"a\": 1}}",
        "\u{feff}{",
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("model.safetensors.index.json"), text).unwrap();
        let error = refused(directory.path());
        // Nothing says that it was an index once, so it is not called damaged.
        assert!(matches!(error, Error::UnknownFormat { .. }), "{text:?}: {error}");
        assert!(error.to_string().contains("it is a JSON file"), "{text:?}: {error}");
    }
    let directory = tempfile::tempdir().unwrap();
    index(directory.path(), &json!({}));
    assert!(refused(directory.path()).to_string().contains("nothing in it matches"));
}

#[test]
fn a_part_that_was_cut_short_is_refused() {
    let directory = model(1);
    let path = directory.path().join(FIRST);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = refused(directory.path());
    assert!(
        matches!(&error, Error::Corrupt { path, .. } if path.ends_with(FIRST)),
        "{error}"
    );
}
