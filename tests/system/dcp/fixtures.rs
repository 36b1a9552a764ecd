//! Every directory that PyTorch wrote holds, bit for bit, what stands beside it as safetensors and JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use fabric_core::storage::Local;
use fabric_core::testing::Counting;
use fabric_core::{Fabric, RawCheckpoint};
use serde_json::{Value as Json, json};

pub(crate) const FIXTURES: [&str; 4] = ["dcp_single", "dcp_fsdp2", "dcp_hsdp4", "lightning_sharded"];

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new("fixtures/pytorch").join(name)
}

/// Shape and bytes.
pub(crate) type Bits = (DType, Vec<usize>, Vec<u8>);

pub(crate) fn bits(tensor: &Tensor) -> Bits {
    let flat = tensor.flatten_all().unwrap();
    let bytes = match tensor.dtype() {
        DType::F32 => flat
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect(),
        other => panic!("no fixture has {other:?}"),
    };
    (tensor.dtype(), tensor.dims().to_vec(), bytes)
}

/// What stands beside a fixture.
pub(crate) fn expected(name: &str) -> BTreeMap<String, Tensor> {
    let path = fixture(&format!("{name}.expected.safetensors"));
    candle_core::safetensors::load(path, &Device::Cpu)
        .unwrap()
        .into_iter()
        .collect()
}

pub(crate) fn tensors(raw: &RawCheckpoint) -> BTreeMap<String, Tensor> {
    let names = raw.names().into_iter().filter(|name| raw.info(name).is_some());
    names
        .map(|name| (name.to_owned(), raw.tensor(name, &Device::Cpu).unwrap()))
        .collect()
}

#[test]
fn every_fixture_is_bit_equal_to_the_full_tensors() {
    for name in FIXTURES {
        let raw = Fabric::new().open(fixture(name)).unwrap();
        let (found, expected) = (tensors(&raw), expected(name));
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "{name}"
        );
        let at_once = raw.tensors(&Device::Cpu).unwrap();
        assert_eq!(at_once.len(), expected.len(), "{name}");
        for (entry, tensor) in expected {
            assert_eq!(bits(&at_once[&entry]), bits(&tensor), "{name}: {entry}, all at once");
            assert_eq!(bits(&found[&entry]), bits(&tensor), "{name}, {entry}");
        }
    }
}

#[test]
fn objects_are_values_and_those_of_an_optimizer_are_one() {
    for name in FIXTURES {
        let raw = Fabric::new().open(fixture(name)).unwrap();
        let values: Vec<&str> = raw
            .names()
            .into_iter()
            .filter(|name| raw.info(name).is_none())
            .collect();
        let lightning = name == "lightning_sharded";
        let expected: &[&str] = if lightning {
            &["hparams", "iteration", "optimizer.param_groups"]
        } else {
            &["iteration", "optimizer.param_groups"]
        };
        assert_eq!(values, expected, "{name}");
        assert_eq!(raw.value::<u64>("iteration").unwrap(), 41);
        let groups: Json = raw.value("optimizer.param_groups").unwrap();
        let params = match name {
            "dcp_single" => json!([0, 1, 2, 3, 4, 5]),
            _ => json!(["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]),
        };
        let group = json!({
            "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01, "amsgrad": false, "maximize": false,
            "foreach": null, "capturable": false, "differentiable": false, "fused": null,
            "decoupled_weight_decay": true, "params": params,
        });
        assert_eq!(groups, json!([group]), "{name}");
    }
    let raw = Fabric::new().open(fixture("lightning_sharded")).unwrap();
    assert_eq!(
        raw.value::<Json>("hparams").unwrap(),
        json!({"lr": 0.01, "layers": [5, 8, 3], "name": "tiny"})
    );
}

#[test]
fn reading_one_tensor_reads_its_own_chunks_and_the_framing_around_them() {
    for name in ["dcp_fsdp2", "dcp_hsdp4"] {
        let counting = Counting::new(Local::new());
        let fabric = Fabric::builder().storage(counting.clone()).build().unwrap();
        let raw = fabric.open(fixture(name)).unwrap();
        let opened: u64 = counting.bytes_read_by_file().values().sum();
        let metadata = std::fs::metadata(fixture(name).join(".metadata")).unwrap().len();
        // Thirteen objects of about 1300 bytes, and the index.
        assert!(opened <= metadata + 13 * 1600, "{name}: {opened}");
        counting.reset();
        raw.tensor("model.fc2.weight", &Device::Cpu).unwrap();
        let read = counting.bytes_read_by_file();
        let total: u64 = read.values().sum();
        let chunks = if name == "dcp_fsdp2" { 2 } else { 4 };
        assert!(total <= chunks * (1577 + 96), "{name}: {read:?}");
    }
}
