//! Every file and directory that PyTorch wrote holds, entry by entry and bit for bit, what the safetensors package wrote
//! beside it; so does its export, as safetensors and as a file of `torch.save`.
//!
//! The files are the fixtures, and those in the directory `PEER_FILES`, which `peers/make_more_files.py` fills; the exports
//! are kept there for `peers/check_returned.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Device;
use fabric_core::{ExportOptions, Fabric, RawCheckpoint, Value};
use safetensors::SafeTensors;
use serde_json::Value as Json;

/// Element type, shape and bytes of each tensor.
type Tensors = BTreeMap<String, (String, Vec<usize>, Vec<u8>)>;

const EXPECTED: &str = ".expected.safetensors";

/// The paths beside which the tensors stand, and the name of each.
fn peers(directory: &Path) -> Vec<(String, PathBuf)> {
    let found = std::fs::read_dir(directory).expect("the directory is there");
    let names = found.map(|found| found.unwrap().file_name().into_string().unwrap());
    let mut peers: Vec<_> = names
        .filter_map(|name| name.strip_suffix(EXPECTED).map(str::to_owned))
        .map(|name| (name.clone(), directory.join(name)))
        .collect();
    peers.sort();
    peers
}

fn directories() -> Vec<PathBuf> {
    let more = std::env::var_os("PEER_FILES").map(PathBuf::from);
    std::iter::once(PathBuf::from("fixtures/pytorch")).chain(more).collect()
}

fn tensors(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let (dtype, shape) = (view.dtype().to_string(), view.shape().to_vec());
        (name, (dtype, shape, view.data().to_vec()))
    };
    file.tensors().into_iter().map(view).collect()
}

fn assert_same(found: &Tensors, expected: &Tensors, what: &str) {
    let names = |tensors: &Tensors| tensors.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{what}");
    for (name, (dtype, shape, bytes)) in expected {
        let (of, dims, data) = &found[name];
        assert_eq!((of, dims), (dtype, shape), "{what}: {name}");
        assert!(data == bytes, "{what}: {name} has other bytes");
    }
}

/// Every tensor, through a plain safetensors export: that writes element types that candle lacks, too.
fn exported(path: &Path, to: &Path) -> Tensors {
    Fabric::new()
        .export(path, to, ExportOptions::new())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    tensors(to)
}

#[test]
fn every_tensor_is_bit_equal_and_stays_so_in_exports() {
    let scratch = tempfile::tempdir().unwrap();
    let plain = scratch.path().join("plain.safetensors");
    let mut count = 0;
    for directory in directories() {
        let returned = if directory.starts_with("fixtures") {
            scratch.path().to_path_buf()
        } else {
            directory.join("returned")
        };
        std::fs::create_dir_all(&returned).unwrap();
        for (name, path) in peers(&directory) {
            let expected = tensors(&directory.join(format!("{name}{EXPECTED}")));
            assert_same(&exported(&path, &plain), &expected, &name);
            read_one_by_one(&Fabric::new().open(&path).unwrap(), &expected, &name);
            let back = returned.join(format!("{name}.returned.pt"));
            // PyTorch counts parameters: an export does too, unless names are asked for.
            let named = expected.keys().any(|name| name.starts_with("optimizer.state.fc"));
            Fabric::new()
                .export(&path, &back, ExportOptions::new().parameter_names(named))
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_same(&exported(&back, &plain), &expected, &format!("{name}, exported"));
            count += 1;
        }
    }
    assert!(count > 25, "{count}");
}

/// Tensors that candle can hold are read by themselves, others are errors that name entry and type.
fn read_one_by_one(raw: &RawCheckpoint, expected: &Tensors, what: &str) {
    for (name, (dtype, shape, _)) in expected {
        let info = raw.info(name).unwrap_or_else(|| panic!("{what}: {name}"));
        assert_eq!(info.shape(), shape, "{what}: {name}");
        match (raw.tensor(name, &Device::Cpu), info.dtype().to_candle()) {
            (Ok(tensor), Some(_)) => assert_eq!(tensor.dims(), shape, "{what}: {name}"),
            (Err(error), None) => {
                let error = error.to_string();
                assert!(
                    error.contains(&format!("`{name}`")) && error.contains(dtype),
                    "{what}: {error}"
                );
            }
            (read, _) => panic!("{what}: {name}: {read:?}"),
        }
    }
}

#[test]
fn every_value_is_what_python_says() {
    let mut count = 0;
    for directory in directories() {
        for (name, path) in peers(&directory) {
            let Ok(json) = std::fs::read(directory.join(format!("{name}.expected.json"))) else {
                continue;
            };
            let expected: Json = serde_json::from_slice(&json).unwrap();
            let raw = Fabric::new().open(&path).unwrap();
            count += compare(&raw, "", &expected, &name);
        }
    }
    assert!(count > 50, "{count}");
}

/// Compares what Python says below `name` with the values, and says how many there were.
fn compare(raw: &RawCheckpoint, name: &str, expected: &Json, what: &str) -> usize {
    if raw.info(name).is_some() {
        assert!(expected.get("tensor").is_some(), "{what}: {name}");
        return 0;
    }
    if let Ok(value) = raw.stored_value(name) {
        same_value(value, expected, &format!("{what}: {name}"));
        return 1;
    }
    let below = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}.{key}"),
    };
    match expected {
        Json::Object(map) => map
            .iter()
            .map(|(key, item)| compare(raw, &below(key), item, what))
            .sum(),
        Json::Array(items) => (0..)
            .zip(items)
            .map(|(at, item): (usize, _)| compare(raw, &below(&at.to_string()), item, what))
            .sum(),
        // The files that hold one object hold it under a name of their own.
        other => panic!("{what}: {name} is lost: {other}"),
    }
}

/// JSON has texts for what it has no numbers for, and says of what is no data that it is opaque.
#[allow(clippy::cast_precision_loss, reason = "JSON readers round large integers, too")]
fn same_value(value: &Value, expected: &Json, what: &str) {
    match expected {
        Json::Array(items) => {
            let found = value.as_list().unwrap_or_else(|| panic!("{what}: {value:?}"));
            assert_eq!(found.len(), items.len(), "{what}");
            found
                .iter()
                .zip(items)
                .for_each(|(value, item)| same_value(value, item, what));
        }
        Json::Object(map) if map.contains_key("opaque") => assert!(value.decode::<Json>().is_err(), "{what}"),
        Json::Object(map) => {
            let by_number = value.decode::<BTreeMap<i64, Json>>().ok();
            let by_number = by_number.map(|map| map.into_iter().map(|(key, item)| (key.to_string(), item)));
            match by_number {
                Some(found) if !map.is_empty() => assert_eq!(&found.collect::<serde_json::Map<_, _>>(), map, "{what}"),
                _ => {
                    let found = value.as_map().unwrap_or_else(|| panic!("{what}: {value:?}"));
                    assert_eq!(found.len(), map.len(), "{what}");
                    for (key, value) in &found {
                        same_value(value, &map[key], &format!("{what}.{key}"));
                    }
                }
            }
        }
        Json::String(text) => {
            let texts = [
                value.decode::<String>().ok(),
                value.decode::<i128>().ok().map(|number| number.to_string()),
                value
                    .decode::<f64>()
                    .ok()
                    .map(|number| number.to_string().to_lowercase()),
            ];
            assert!(
                texts.into_iter().flatten().any(|found| found == *text),
                "{what}: {value:?}, not {text}"
            );
        }
        // The JSON has integers of any size, and its reader rounds them, and the last bit of floats.
        Json::Number(number) if number.is_f64() => {
            let found = value
                .decode::<f64>()
                .unwrap_or_else(|_| value.decode::<i128>().unwrap() as f64);
            let apart = found.to_bits().abs_diff(number.as_f64().unwrap().to_bits());
            assert!(apart <= 1, "{what}: {found}, not {number}");
        }
        _ => assert_eq!(&value.decode::<Json>().unwrap(), expected, "{what}"),
    }
}
