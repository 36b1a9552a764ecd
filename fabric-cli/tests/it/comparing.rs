//! `ckpt diff` where contents are not compared, and on values that JSON lacks.

use std::path::Path;

use candle_core::{Device, Tensor};
use fabric_core::{Checkpoint, Fabric};
use serde_json::{Value, json};

use crate::support::run;

fn save(directory: &Path, name: &str, state: &impl Checkpoint) {
    Fabric::new().save(directory.join(name), state).expect("a save");
}

fn document(directory: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(directory, arguments).out).expect("JSON")
}

#[test]
fn names_alone_are_not_called_equal_contents() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let here = directory.path();
    let tensor = |numbers: &[f32]| Tensor::new(numbers, &Device::Cpu).expect("memory");
    save(here, "a.ckpt", &(tensor(&[1., 2.]), 1u64));
    save(here, "b.ckpt", &(tensor(&[1., 3.]), 2u64));
    save(here, "c.ckpt", &(tensor(&[1.]), 2u64));
    let said = run(here, &["diff", "a.ckpt", "b.ckpt", "--names-only"]);
    let expected = "names, types and shapes are equal; contents were not compared\n";
    assert_eq!((said.status, said.out.as_str()), (0, expected));
    let said = run(here, &["diff", "a.ckpt", "c.ckpt", "--names-only"]);
    let end = "differ: 1 of 1 tensor in type or shape; contents were not compared\n";
    assert!(said.status == 1 && said.out.ends_with(end), "{said:?}");
    for (second, equal) in [("b.ckpt", Value::Null), ("c.ckpt", false.into())] {
        let found = document(here, &["diff", "a.ckpt", second, "--names-only", "--json"]);
        assert_eq!((&found["equal"], &found["contents_compared"]), (&equal, &false.into()));
        let has_counts = ["equal_values", "equal_tensors"].map(|key| found.get(key).is_some());
        assert_eq!(has_counts, [false, false]);
    }
    let found = document(here, &["diff", "a.ckpt", "a.ckpt", "--json"]);
    assert_eq!((&found["equal"], &found["equal_tensors"]), (&true.into(), &1.into()));
}

#[test]
fn numbers_inside_of_values_are_told_apart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let here = directory.path();
    let tensor = Tensor::new(0f32, &Device::Cpu).expect("memory");
    save(here, "a.ckpt", &(tensor.clone(), vec![f64::NAN, 1.]));
    save(here, "b.ckpt", &(tensor, vec![f64::INFINITY, 1.]));
    let said = run(here, &["diff", "a.ckpt", "b.ckpt"]);
    assert!(said.out.contains(r#"["NaN",1.0] -> ["Infinity",1.0]"#), "{said:?}");
    let found = document(here, &["diff", "a.ckpt", "b.ckpt", "--json"]);
    assert_eq!(found["values"][0]["first"], json!(["NaN", 1.0]));
}
