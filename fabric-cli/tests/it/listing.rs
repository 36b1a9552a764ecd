//! `ckpt ls` and `ckpt show` on odd checkpoints, and into pipes.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use candle_core::{DType, Device, Tensor};
use fabric_core::{Checkpoint, Fabric, SaveOptions};
use serde_json::Value;

use crate::support::{ckpt, run};

/// A safetensors file with a tensor of one 32-bit float under each name.
fn weights(path: &Path, names: &[&str]) {
    let place = |at: usize| serde_json::json!({"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]});
    let header: BTreeMap<&str, Value> = names.iter().enumerate().map(|(at, name)| (*name, place(at))).collect();
    let header = serde_json::to_vec(&header).expect("JSON");
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(&header);
    bytes.extend(vec![0; 4 * names.len()]);
    std::fs::write(path, bytes).expect("it is writable");
}

#[test]
fn a_reader_that_has_enough_ends_the_command_quietly() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let names: Vec<String> = (0..20_000).map(|at| format!("tensor_{at}.with_a_long_name")).collect();
    weights(
        &directory.path().join("many.safetensors"),
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for arguments in [&["ls", "many.safetensors"][..], &["ls", "--json", "many.safetensors"]] {
        let mut process = ckpt(directory.path());
        process.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process.spawn().expect("ckpt starts");
        let mut first = [0; 10];
        child
            .stdout
            .take()
            .expect("a pipe")
            .read_exact(&mut first)
            .expect("some output");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(
            (output.status.code(), output.stderr.len()),
            (Some(0), 0),
            "{arguments:?}"
        );
    }
}

#[test]
fn names_with_characters_that_a_terminal_obeys_are_escaped() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let names = [
        "red.\u{1b}[31mname",
        "tab\there",
        "turned.\u{202e}round",
        "two\nlines",
        "größe.重",
    ];
    weights(&directory.path().join("odd.safetensors"), &names);
    for arguments in [
        &["ls", "odd.safetensors"][..],
        &["ls", "--flat", "odd.safetensors"],
        &["ls", "--json", "odd.safetensors"],
        &["show", "odd.safetensors", "two\nlines"],
        &["show", "odd.safetensors", "two\nlines", "--json"],
        &["show", "odd.safetensors", "two\nline"],
        &["show", "odd.safetensors", "red"],
    ] {
        let said = run(directory.path(), arguments);
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(
            !said.out.contains(bad) && !said.error.contains(bad),
            "{arguments:?}: {said:?}"
        );
        assert!(said.error.lines().count() <= 1, "{arguments:?}: {said:?}");
    }
    let said = run(directory.path(), &["ls", "--json", "odd.safetensors"]);
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    let found: Vec<&str> = document["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter_map(|entry| entry["name"].as_str())
        .collect();
    assert_eq!(found.len(), names.len());
    assert!(names.iter().all(|name| found.contains(name)), "{found:?}");
}

#[test]
fn values_in_json_are_whole_and_numbers_that_json_lacks_are_texts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let odd = Tensor::new(&[[1f32, f32::NAN], [f32::NEG_INFINITY, -0.1]], &Device::Cpu).expect("memory");
    let losses: Vec<f64> = (0..100).map(f64::from).chain([f64::NAN]).collect();
    let state = (BTreeMap::from([("odd".to_owned(), odd)]), losses);
    Fabric::new()
        .save(directory.path().join("x.ckpt"), &state)
        .expect("a save");
    let json = |arguments: &[&str]| -> Value {
        let said = run(directory.path(), arguments);
        assert_eq!(said.status, 0, "{}", said.error);
        serde_json::from_str(&said.out).expect("JSON")
    };
    let listed = json(&["ls", "--json", "x.ckpt"]);
    let losses = listed["entries"]
        .as_array()
        .and_then(|entries| entries.iter().find(|entry| entry["name"] == "1"));
    assert_eq!(losses.expect("the losses")["value"][100], "NaN");
    let statistics = &json(&["show", "--json", "x.ckpt", "0.odd"])["statistics"];
    assert_eq!(
        (&statistics["nan"], &statistics["infinite"], &statistics["max"]),
        (&1.into(), &1.into(), &1.0.into())
    );
    let full = json(&["show", "--json", "--full", "x.ckpt", "0.odd"]);
    assert_eq!(full["elements"], serde_json::json!([[1.0, "NaN"], ["-Infinity", -0.1]]));
    let short = run(directory.path(), &["ls", "x.ckpt"]).out;
    assert!(
        short.lines().all(|line| line.chars().count() < 120) && short.contains('…'),
        "{short}"
    );
    let whole = json(&["show", "x.ckpt", "1"]);
    assert_eq!(whole.as_array().map(Vec::len), Some(101));
}

#[test]
fn all_elements_of_a_tensor_of_several_blocks_are_printed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let count = 300_000u32;
    let numbers = Tensor::arange(0, count, &Device::Cpu)
        .and_then(|all| all.reshape((3, 100, 1000)))
        .expect("memory");
    Fabric::new()
        .save(
            directory.path().join("x.ckpt"),
            &BTreeMap::from([("n".to_owned(), numbers)]),
        )
        .expect("a save");
    let said = run(directory.path(), &["show", "--full", "--json", "x.ckpt", "n"]);
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    let flat = document["elements"]
        .as_array()
        .expect("three")
        .iter()
        .flat_map(|matrix| {
            matrix
                .as_array()
                .expect("a hundred")
                .iter()
                .flat_map(|row| row.as_array().expect("a thousand"))
        });
    assert!(
        flat.map(|number| number.as_u64().expect("a number"))
            .eq(0..u64::from(count))
    );
    assert_eq!(
        run(directory.path(), &["show", "--full", "x.ckpt", "n"])
            .out
            .lines()
            .count(),
        300
    );
}

#[test]
fn tensors_without_elements_and_without_dimensions_are_shown() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("memory");
    let state = BTreeMap::from([("empty".to_owned(), zeros(&[2, 0])), ("scalar".to_owned(), zeros(&[]))]);
    Fabric::new()
        .save(directory.path().join("x.ckpt"), &state)
        .expect("a save");
    for (name, full) in [("empty", "[[], []]\n"), ("scalar", "0.0\n")] {
        assert_eq!(run(directory.path(), &["show", "--full", "x.ckpt", name]).out, full);
        let shown = run(directory.path(), &["show", "x.ckpt", name]);
        assert_eq!((shown.status, shown.error.as_str()), (0, ""), "{name}");
        let json = run(directory.path(), &["show", "--full", "--json", "x.ckpt", name]).out;
        serde_json::from_str::<Value>(&json).expect("JSON");
    }
}

#[derive(Checkpoint)]
struct Filtered {
    list: Vec<Tensor>,
}

#[test]
fn entries_that_a_filter_left_out_are_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let zeros = || Tensor::zeros(3, DType::F32, &Device::Cpu).expect("memory");
    let state = Filtered {
        list: vec![zeros(), zeros(), zeros()],
    };
    let options = SaveOptions::new().filter(Filtered::FIELDS.list, |name, _| name == "1");
    Fabric::new()
        .save_with(directory.path().join("x.ckpt"), &state, options)
        .expect("a save");
    let listed = run(directory.path(), &["ls", "x.ckpt"]).out;
    assert!(
        listed.ends_with("not saved because of a filter: list.0, list.2\n"),
        "{listed}"
    );
    let json = run(directory.path(), &["ls", "--json", "x.ckpt", "list.0"]);
    let document: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(document["filtered"], serde_json::json!(["list.0"]));
    let shown = run(directory.path(), &["show", "x.ckpt", "list.0"]);
    assert!(
        shown.status == 1 && shown.error.contains("a filter left it out"),
        "{shown:?}"
    );
}

#[test]
fn directories_and_optimizers_of_pytorch_are_told() {
    let fixtures = testkit::files::fixture("");
    for (path, begins, holds) in [
        (
            "dcp_fsdp2",
            "PyTorch distributed checkpoint · 3 files",
            "optimizer       AdamW, lr 0.01",
        ),
        ("hub_sharded", "Hugging Face directory · 3 files", "fc1"),
        ("mlp_legacy.pt", "torch.save (legacy) · 1 file", "fc1"),
        ("optim_adamw_two_groups.pt", "torch.save", "2 groups"),
    ] {
        let listed = run(&fixtures, &["ls", path]).out;
        assert!(listed.starts_with(begins) && listed.contains(holds), "{path}: {listed}");
    }
    let shown = run(&fixtures, &["show", "more_dtypes.pt", "c64"]);
    assert!(
        shown.status == 0 && shown.out.contains("statistics  none, for elements of this type"),
        "{shown:?}"
    );
    for arguments in [
        &["show", "--full", "more_dtypes.pt", "c64"][..],
        &["show", "--full", "--json", "more_dtypes.pt", "c64"],
    ] {
        let full = run(&fixtures, arguments);
        assert!(full.status == 1 && full.error.contains("C64"), "{full:?}");
        assert_eq!(full.out, "", "an error before the first element is the only output");
    }
}

#[test]
fn large_integers_are_shown_exactly() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let odd = (1i64 << 53) + 1;
    let tensor = Tensor::new(&[odd, -odd], &Device::Cpu).expect("memory");
    Fabric::new()
        .save(
            directory.path().join("x.ckpt"),
            &BTreeMap::from([("n".to_owned(), tensor)]),
        )
        .expect("a save");
    let shown = run(directory.path(), &["show", "x.ckpt", "n"]).out;
    for line in [format!("min       -{odd}\n"), format!("max       {odd}\n")] {
        assert!(shown.contains(&line), "{shown}");
    }
    let json = run(directory.path(), &["show", "--json", "x.ckpt", "n"]).out;
    let document: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(document["statistics"]["min"], serde_json::json!(-odd));
}

#[test]
fn errors_about_slices_have_the_path() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let scalar = Tensor::new(0f32, &Device::Cpu).expect("memory");
    Fabric::new()
        .save(directory.path().join("x.ckpt"), &(scalar, 1u64))
        .expect("a save");
    for (name, text) in [
        (
            "0",
            "ckpt: x.ckpt: 0: the slice \"7\" has 1 part, and the tensor has 0 dimensions\n",
        ),
        ("1", "ckpt: x.ckpt: entry `1` is a value; --slice is for tensors\n"),
    ] {
        let said = run(directory.path(), &["show", "x.ckpt", name, "--slice=7"]);
        assert_eq!((said.status, said.error.as_str()), (64, text));
    }
}

#[test]
fn a_tied_tensor_names_the_first_name_though_a_pattern_leaves_it_out() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let tensor = Tensor::new(&[1f32], &Device::Cpu).expect("memory");
    let state = ["embed", "head"].map(|name| (name.to_owned(), tensor.clone()));
    Fabric::new()
        .save(directory.path().join("x.ckpt"), &BTreeMap::from(state))
        .expect("a save");
    let listed = run(directory.path(), &["ls", "x.ckpt", "head"]).out;
    assert!(listed.contains("1 tensor, 1 element, 4 B\n"), "{listed}");
    assert!(listed.ends_with("4 B  = embed\n"), "{listed}");
    let json = run(directory.path(), &["ls", "--json", "x.ckpt", "head"]).out;
    let document: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(document["entries"][0]["tied_to"], "embed");
}
