//! Files that PyTorch and Lightning wrote, compared with what PyTorch says is in them, and damaged in every way.

mod damage;
pub(crate) mod made;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::entry::DType;
use crate::error::{Error, Result};
use crate::source::read::read_into;
use crate::source::{Entry, Index, ReadLimit, Source, open};
use crate::storage::Storage;
use crate::testing::Memory;

const FILES: &[&str] = &[
    "bag.pt",
    "dtypes.pt",
    "fabric_filtered.ckpt",
    "fabric_single.ckpt",
    "layouts.pt",
    "mlp.pt",
    "mlp_legacy.pt",
    "mlp_plain_dict.pt",
    "more_dtypes.pt",
    "optim_adam_amsgrad.pt",
    "optim_adamw.pt",
    "optim_adamw_two_groups.pt",
    "optim_sgd_momentum.pt",
    "optim_sgd_plain.pt",
    "parameters.pt",
    "prefix_compiled.pt",
    "prefix_ddp.pt",
    "shared_objects.pt",
    "trainer.ckpt",
    "unicode_and_ints.pt",
    "wrapped.pt",
];

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/pytorch")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn open_bytes(bytes: &[u8]) -> Result<Arc<dyn Source>> {
    let memory = Memory::new();
    let path = PathBuf::from("/file.pt");
    memory.create(&path).unwrap().write_all(bytes).unwrap();
    let storage: std::sync::Arc<dyn Storage> = std::sync::Arc::new(memory);
    open(&storage, &path, ReadLimit::default())
}

/// The contents of every tensor.
fn contents(source: &dyn Source) -> Result<Vec<(String, Vec<u8>)>> {
    let tensors = source.index().tensors.iter();
    let read = tensors.map(|(name, stored)| {
        let mut bytes = vec![0; stored.info.byte_len().unwrap()];
        read_into(source, name, stored, &mut bytes, 2)?;
        Ok((name.clone(), bytes))
    });
    read.collect()
}

#[test]
fn every_tensor_of_every_file_is_bit_equal_to_what_pytorch_says() {
    for file in FILES {
        let source = open_bytes(&fixture(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let expected = fixture(&format!("{file}.expected.safetensors"));
        let expected = safetensors::SafeTensors::deserialize(&expected).unwrap();
        let mut names = expected.names();
        names.sort_unstable();
        assert_eq!(source.index().tensors.keys().collect::<Vec<_>>(), names, "{file}");
        for (name, bytes) in contents(&*source).unwrap() {
            let view = expected.tensor(&name).unwrap();
            let info = &source.index().tensors[&name].info;
            assert_eq!(info.shape(), view.shape(), "{file}: {name}");
            assert_eq!(info.dtype().name(), view.dtype().to_string(), "{file}: {name}");
            assert_eq!(bytes, view.data(), "{file}: {name}");
        }
    }
}

#[test]
fn every_value_of_every_file_is_what_pytorch_says() {
    for file in FILES {
        let source = open_bytes(&fixture(file)).unwrap();
        let expected: Json = serde_json::from_slice(&fixture(&format!("{file}.expected.json"))).unwrap();
        let mut found = 0;
        compare(source.index(), "", &expected, &mut found);
        assert_eq!(found, source.index().values.len(), "{file}");
    }
}

/// Compares values as JSON; `found` counts the entries that were.
fn compare(index: &Index, name: &str, expected: &Json, found: &mut usize) {
    if index.tensors.contains_key(name) {
        assert!(expected.get("tensor").is_some(), "{name}");
        return;
    }
    if let Some(value) = index.values.get(name) {
        *found += 1;
        if name != "list" {
            assert_eq!(&value.decode::<Json>().unwrap(), expected, "{name}");
        }
        return;
    }
    let below = |key: &str| crate::entry::join(name, key);
    match expected {
        Json::Object(map) => map
            .iter()
            .for_each(|(key, item)| compare(index, &below(key), item, found)),
        Json::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(at, item)| compare(index, &below(&at.to_string()), item, found));
        }
        other => panic!("{name} is lost: {other}"),
    }
}

#[test]
fn integers_of_every_size_come_through() {
    let source = open_bytes(&fixture("shared_objects.pt")).unwrap();
    let list = source.index().values["list"].as_list().unwrap();
    assert_eq!(list[2].decode::<i64>().unwrap(), -(1 << 40));
    assert_eq!(list[3].decode::<i128>().unwrap(), 1 << 70);
    assert!(list[3].decode::<u64>().is_err());
}

/// Returns true if two names are one tensor, stored once.
fn same_place(source: &dyn Source, one: &str, other: &str) -> bool {
    let entries = [one, other].map(|name| source.index().entry(name).unwrap());
    Entry::same_place(&entries)
}

#[test]
fn one_object_under_two_names_is_one_place() {
    let source = open_bytes(&fixture("shared_objects.pt")).unwrap();
    let same = |a: &str, b: &str| same_place(&*source, a, b);
    assert!(same("first.fc1.weight", "second.fc1.weight"));
    assert!(!same("first.fc1.weight", "first.norm.weight"));
    let layouts = open_bytes(&fixture("layouts.pt")).unwrap();
    assert!(same_place(&*layouts, "tied_a", "tied_b"));
}

#[test]
fn element_types_that_candle_lacks_keep_their_own() {
    let source = open_bytes(&fixture("more_dtypes.pt")).unwrap();
    let found: Vec<DType> = source
        .index()
        .tensors
        .values()
        .map(|stored| stored.info.dtype())
        .collect();
    assert_eq!(
        found,
        [
            DType::Bool,
            DType::C64,
            DType::F8E4M3,
            DType::F8E5M2,
            DType::I8,
            DType::U16
        ]
    );
}

#[test]
fn other_pickles_and_archives_are_refused_with_a_sentence() {
    let refused = |bytes: &[u8]| match open_bytes(bytes) {
        Err(Error::UnknownFormat { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert!(refused(b"\x80\x04\x95\x11\0\0\0\0\0\0\0}\x94.").contains("did not write"));
    let empty = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert!(refused(&[&made::zip(&[("a/x", b"1")])[..]].concat()).contains("data.pkl"));
    assert!(open_bytes(empty).is_err());
    let module = made::zip(&[
        ("m/data.pkl", b"\x80\x02c__main__\nNet\n)\x81}b."),
        ("m/byteorder", b"little"),
    ]);
    assert!(refused(&module).contains("`__main__.Net`"));
}

#[test]
fn a_safetensors_file_whose_header_begins_like_a_pickle_is_one() {
    // 0x280 bytes of header: the first two bytes are those of a pickle of protocol 2.
    let mut header = br#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.to_vec();
    header.resize(0x280, b' ');
    let bytes = [&0x280u64.to_le_bytes()[..], &header, &[7]].concat();
    let source = open_bytes(&bytes).unwrap();
    assert_eq!(contents(&*source).unwrap(), [("a".to_owned(), vec![7])]);
}
