//! Plain safetensors, as the safetensors library reads them.

use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, ExportOptions, ExportReport};
use safetensors::{Dtype, SafeTensors};

use super::states::{every_dtype, with_adamw};
use super::torch_files::{bytes, saved};

fn exported<S: Checkpoint>(state: &S, options: ExportOptions) -> (Vec<u8>, ExportReport) {
    let (fabric, memory): (_, Memory) = saved(state);
    let report = fabric.export("run/last.ckpt", "w.safetensors", options).unwrap();
    (bytes(&memory, "w.safetensors"), report)
}

#[test]
fn a_subtree_is_a_file_of_bare_weights() {
    let state = with_adamw();
    let (bytes, report) = exported(&state, ExportOptions::new().subtree("model"));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "bn.bias",
            "bn.running_mean",
            "bn.running_var",
            "bn.weight",
            "embed",
            "fc1.bias",
            "fc1.weight",
            "fc2.bias",
            "fc2.weight",
            "head"
        ]
    );
    assert_eq!(file.tensor("embed").unwrap(), file.tensor("head").unwrap());
    let weight = file.tensor("fc1.weight").unwrap();
    let expected: Vec<f32> = state.model.fc1.weight().flatten_all().unwrap().to_vec1().unwrap();
    let expected: Vec<u8> = expected.into_iter().flat_map(f32::to_le_bytes).collect();
    assert_eq!((weight.shape(), weight.data()), (&[6, 4][..], &expected[..]));
    assert_eq!(
        (report.tensors, report.values, report.left_out),
        (10, 0, vec!["scale".to_owned()])
    );
    assert_eq!(report.bytes, bytes.len() as u64);
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
}

#[test]
fn values_are_left_out_and_named() {
    let (bytes, report) = exported(&with_adamw(), ExportOptions::new());
    assert!(report.left_out.contains(&"iteration".to_owned()));
    assert!(report.left_out.contains(&"optimizer.param_groups".to_owned()));
    assert!(
        report
            .left_out
            .contains(&"optimizer.state.model.fc1.weight.step".to_owned())
    );
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert!(file.tensor("optimizer.state.model.fc1.weight.exp_avg").is_ok());
    assert!(file.tensor("__fabric__").is_err());
}

#[test]
fn element_types_and_shapes_stay() {
    let (bytes, _) = exported(&every_dtype(), ExportOptions::new());
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("t_f8e4m3").unwrap().dtype(), Dtype::F8_E4M3);
    assert_eq!(file.tensor("t_u32").unwrap().dtype(), Dtype::U32);
    assert_eq!(file.tensor("scalar").unwrap().shape(), [0; 0]);
    assert_eq!(file.tensor("empty").unwrap().shape(), [0, 4]);
    assert_eq!(file.tensor("transposed").unwrap().shape(), [3, 2]);
}
