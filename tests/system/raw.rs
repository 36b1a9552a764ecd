//! All tensors of a checkpoint at once.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Tensor};
use fabric_core::storage::Storage;
use fabric_core::testing::{Faulty, Memory};
use fabric_core::{Error, ExportFormat, ExportOptions, Fabric, RawCheckpoint};

use crate::states::{CPU, PATH, bits, fabric, file, on, tensor};

type Tensors = BTreeMap<String, Tensor>;

const OTHERS: [DType; 5] = [DType::U8, DType::I64, DType::F16, DType::F8E4M3, DType::F64];

/// Every byte of the tensor of this type.
fn filling(dtype: DType) -> u8 {
    let at = OTHERS.iter().zip(0x21..).find(|(other, _)| **other == dtype);
    at.map_or(0, |(_, byte)| byte)
}

/// Few bytes and many, in every element type that a state has.
fn assorted() -> Tensors {
    let mut all = Tensors::from([
        ("embedding".to_owned(), tensor(1, (1200, 1111))),
        ("none".to_owned(), tensor(2, (3, 0))),
        ("scalar".to_owned(), tensor(3, ())),
    ]);
    for n in 0..40 {
        all.insert(format!("layers.{n}.bias"), tensor(100 + n, 5));
    }
    for dtype in OTHERS {
        let bytes = vec![filling(dtype); 70_000 * dtype.size_in_bytes()];
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, &[70, 1000], &CPU).unwrap();
        all.insert(format!("of.{}", dtype.as_str()), tensor);
    }
    all
}

fn assert_all(raw: &RawCheckpoint, expected: &Tensors, what: &str) {
    let read: HashMap<String, Tensor> = raw.tensors(&CPU).unwrap();
    let named: Tensors = read.into_iter().collect();
    assert!(named.keys().eq(expected.keys()), "{what}: {:?}", named.keys());
    for (name, tensor) in expected {
        let read = &named[name];
        assert_eq!(
            (read.dtype(), read.shape()),
            (tensor.dtype(), tensor.shape()),
            "{what}: {name}"
        );
        assert!(bits(read) == bits(tensor), "{what}: {name}");
        assert!(
            bits(&raw.tensor(name, &CPU).unwrap()) == bits(tensor),
            "{what}: {name}, by itself"
        );
    }
}

#[test]
fn all_tensors_are_read_at_once_from_every_kind_of_file() {
    let (storage, state) = (Memory::new(), assorted());
    let fabric = on(&storage);
    fabric.save(PATH, &state).unwrap();
    let plain = ["run/plain.safetensors", "run/plain.pt"];
    for (path, format) in plain.iter().zip([ExportFormat::Safetensors, ExportFormat::Torch]) {
        fabric.export(PATH, path, ExportOptions::new().format(format)).unwrap();
    }
    let lends_not = Fabric::builder().storage(Faulty::new(storage)).build().unwrap();
    for path in [PATH].iter().chain(&plain) {
        assert_all(&fabric.open(path).unwrap(), &state, path);
        assert_all(&lends_not.open(path).unwrap(), &state, &format!("{path}, not lent"));
    }
}

#[test]
fn values_are_left_out_and_a_subtree_has_its_own_names() {
    let fabric = fabric();
    fabric.save(PATH, &crate::states::Train::new(3)).unwrap();
    let model = fabric.open(PATH).unwrap().subtree("model").tensors(&CPU).unwrap();
    let mut names: Vec<String> = model.into_keys().collect();
    names.sort();
    assert_eq!(names, ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"]);
    let all = fabric.open(PATH).unwrap().tensors(&CPU).unwrap();
    assert!(all.contains_key("model.fc1.weight") && !all.contains_key("iteration"));
}

#[test]
fn damage_is_called_by_the_name_of_the_entry() {
    let storage = Memory::new();
    let fabric = on(&storage);
    let state = assorted();
    fabric.save(PATH, &state).unwrap();
    let whole = file(&storage, PATH);
    for damaged in ["embedding", "layers.7.bias", "of.f16"] {
        let bytes = bits_in_file(&state[damaged]);
        // The long tensor, which comes first, has the numbers of the short ones too.
        let at = whole.windows(bytes.len()).rposition(|window| window == bytes).unwrap();
        let mut changed = whole.clone();
        changed[at + bytes.len() / 2] ^= 16;
        storage.remove_file(PATH.as_ref()).unwrap();
        storage.create(PATH.as_ref()).unwrap().write_all(&changed).unwrap();
        match fabric.open(PATH).unwrap().tensors(&CPU) {
            Err(Error::Checksum { entry, .. }) => assert_eq!(entry, damaged),
            other => panic!("{damaged}: {:?}", other.map(|all| all.len())),
        }
    }
}

/// As they are saved.
fn bits_in_file(tensor: &Tensor) -> Vec<u8> {
    match tensor.dtype() {
        DType::F32 => bits(tensor),
        other => vec![filling(other); tensor.elem_count() * other.size_in_bytes()],
    }
}

#[test]
fn an_element_type_that_candle_has_not_is_named_before_anything_is_read() {
    let storage = Memory::new();
    let header = r#"{"a":{"dtype":"U16","shape":[2],"data_offsets":[0,4]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    storage.create_dir_all("run".as_ref()).unwrap();
    let path = "run/theirs.safetensors";
    storage.create(path.as_ref()).unwrap().write_all(&bytes).unwrap();
    let error = on(&storage).open(path).unwrap().tensors(&CPU).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("`a`") && said.contains("U16"), "{said}");
}
