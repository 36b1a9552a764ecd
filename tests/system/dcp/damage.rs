//! Bytes that are not those that were written: an error with a type, or what was there before.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Device;
use fabric_core::testing::Memory;
use fabric_core::{Error, Fabric, RawCheckpoint, Result};
use testkit::dcp::{Made, directory, open};

use super::fixtures::{Bits, bits, fixture};

/// Everything in a checkpoint.
#[derive(Debug, PartialEq)]
struct Contents {
    tensors: BTreeMap<String, Bits>,
    values: BTreeMap<String, String>,
}

fn contents(raw: &RawCheckpoint) -> Result<Contents> {
    let (mut tensors, mut values) = (BTreeMap::new(), BTreeMap::new());
    for name in raw.names() {
        match raw.info(name) {
            Some(_) => drop(tensors.insert(name.to_owned(), bits(&raw.tensor(name, &Device::Cpu)?))),
            None => drop(values.insert(name.to_owned(), format!("{:?}", raw.stored_value(name)?))),
        }
    }
    Ok(Contents { tensors, values })
}

fn read(storage: &Memory) -> Result<Contents> {
    contents(&open(storage)?)
}

fn is_typed(error: &Error) -> bool {
    matches!(
        error,
        Error::Corrupt { .. } | Error::Checksum { .. } | Error::UnknownFormat { .. } | Error::NotFound { .. }
    )
}

/// The files of a fixture.
fn files(name: &str) -> BTreeMap<String, Vec<u8>> {
    let listed = std::fs::read_dir(fixture(name)).unwrap().map(|entry| entry.unwrap());
    listed
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn with(files: &BTreeMap<String, Vec<u8>>, name: &str, bytes: &[u8]) -> Memory {
    let mut all: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    all.retain(|(other, _)| *other != name);
    all.push((name, bytes));
    directory(&all)
}

#[test]
fn a_file_cut_anywhere_is_an_error_that_names_it() {
    let made = Made::small();
    for (name, bytes) in &made.files {
        for len in 0..bytes.len() {
            let mut made = made.clone();
            made.files.insert(name.clone(), bytes[..len].to_vec());
            let error = read(&made.storage()).unwrap_err();
            assert!(
                is_typed(&error) && error.to_string().contains(name),
                "{name} cut at {len}: {error}"
            );
        }
    }
}

#[test]
fn an_index_cut_anywhere_is_an_error() {
    let files = files("lightning_sharded");
    for name in [".metadata", "meta.pt"] {
        let bytes = &files[name];
        for len in 0..bytes.len() {
            let error = read(&with(&files, name, &bytes[..len])).unwrap_err();
            assert!(is_typed(&error), "{name} cut at {len}: {error:?}");
        }
    }
}

#[test]
fn any_byte_of_the_files_changed_is_an_error_or_means_nothing() {
    let made = Made::small();
    let right = read(&made.storage()).unwrap();
    for (name, bytes) in &made.files {
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut made = made.clone();
                made.files.get_mut(name).unwrap()[at] ^= flip;
                match read(&made.storage()) {
                    Ok(found) => assert_eq!(found, right, "{name}, byte {at} ^ {flip:#x}"),
                    Err(error) => assert!(is_typed(&error), "{name}, byte {at} ^ {flip:#x}: {error:?}"),
                }
            }
        }
    }
}

/// The index has no checksum: a name can become another name, and a shape another shape of as many elements. What
/// keeps name and shape keeps its contents.
#[test]
fn any_byte_of_an_index_changed_is_an_error_or_leaves_all_that_has_its_name_as_it_was() {
    let files = files("dcp_fsdp2");
    let right = read(&with(&files, "unused", &[])).unwrap();
    let bytes = &files[".metadata"];
    let (mut refused, mut opened) = (0, 0);
    for at in 0..bytes.len() {
        for flip in [1, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            match read(&with(&files, ".metadata", &changed)) {
                Err(error) => {
                    assert!(is_typed(&error), "byte {at} ^ {flip:#x}: {error:?}");
                    refused += 1;
                }
                Ok(found) => {
                    for (name, tensor) in &found.tensors {
                        let same = right.tensors.get(name).filter(|right| right.1 == tensor.1);
                        assert!(
                            same.is_none_or(|right| right == tensor),
                            "byte {at} ^ {flip:#x} changed `{name}`"
                        );
                    }
                    opened += 1;
                }
            }
        }
    }
    assert!(refused > 0 && opened > 0);
}

#[test]
fn a_flipped_bit_of_a_tensor_is_found_by_its_checksum() {
    let made = Made::small();
    let mut bytes = made.files["__1_0.distcp"].clone();
    // The last element of the second chunk.
    let at = bytes.windows(4).position(|four| four == 9f32.to_le_bytes()).unwrap();
    bytes[at] ^= 4;
    let mut made = made.clone();
    made.files.insert("__1_0.distcp".into(), bytes);
    let error = read(&made.storage()).unwrap_err();
    match error {
        Error::Checksum { path, entry, .. } => {
            assert_eq!((path.as_path(), entry.as_str()), (Path::new("run/__1_0.distcp"), "w"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_index_of_longer_files_left_behind_is_an_error() {
    let (old, mut new) = (files("dcp_fsdp2"), files("dcp_single"));
    new.insert(".metadata".into(), old[".metadata"].clone());
    let error = read(&with(&new, "unused", &[])).unwrap_err();
    assert!(is_typed(&error) && error.to_string().contains(".distcp"), "{error}");
}

#[test]
fn a_directory_without_an_index_is_no_checkpoint() {
    let made = Made::small();
    let files: Vec<(&str, &[u8])> = made
        .files
        .iter()
        .map(|(name, bytes)| (name.as_str(), &bytes[..]))
        .collect();
    let error = Fabric::builder()
        .storage(directory(&files))
        .build()
        .unwrap()
        .open("run")
        .unwrap_err();
    assert!(matches!(error, Error::UnknownFormat { .. }), "{error:?}");
    assert!(error.to_string().contains(".metadata"), "{error}");
}
