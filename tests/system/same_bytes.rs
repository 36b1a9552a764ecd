//! Same state, same bytes: from one process or two, whatever order hash maps choose.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use candle_core::DType;
use candle_nn::{VarBuilder, VarMap};
use fabric_core::optim::{AdamW, Optimizer};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric};
use serde::{Deserialize, Serialize};

use crate::states::{CPU, PATH, Train, file, image, on, tensor};

/// In the second process: where to save to.
const TARGET: &str = "FABRIC_TESTS_SAME_BYTES";

#[derive(Serialize, Deserialize)]
struct Meta {
    scores: HashMap<String, HashMap<u32, f64>>,
    pairs: HashMap<(bool, char), Vec<u8>>,
}

#[derive(Checkpoint)]
struct Hashed {
    variables: VarMap,
    optimizer: AdamW,
    heads: HashMap<String, candle_nn::Linear>,
    losses: HashMap<String, f64>,
    #[checkpoint(metadata)]
    meta: Meta,
}

/// Full of maps, each with an order of its own in every process.
fn hashed() -> Hashed {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &CPU);
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let seed = u64::from(name.as_bytes()[0]);
        builder.get((3, 2), name).unwrap();
        variables.data().lock().unwrap()[name]
            .set(&tensor(seed, (3, 2)))
            .unwrap();
    }
    let mut optimizer = AdamW::new_lr(variables.all_vars(), 0.1).unwrap();
    let squares = variables
        .all_vars()
        .into_iter()
        .map(|var| var.sqr().unwrap().sum_all().unwrap());
    let loss = squares.reduce(|a, b| (a + b).unwrap()).unwrap();
    optimizer.backward_step(&loss).unwrap();
    let keys = || ('a'..='z').map(String::from);
    Hashed {
        variables,
        optimizer,
        heads: keys().map(|key| (key, crate::states::linear(1, 1, 1))).collect(),
        losses: keys().zip([0.5, 0.25, 0.125].into_iter().cycle()).collect(),
        meta: Meta {
            scores: keys()
                .map(|key| (key, (0..50).map(|epoch| (epoch, 0.5)).collect()))
                .collect(),
            pairs: ('a'..'k')
                .flat_map(|c| [((true, c), vec![1]), ((false, c), vec![])])
                .collect(),
        },
    }
}

#[test]
fn two_saves_of_one_state_are_identical() {
    let storage = Memory::new();
    let fabric = on(&storage);
    let state = Train::new(1);
    fabric.save(PATH, &state).unwrap();
    fabric.save("other/name.ckpt", &state).unwrap();
    assert!(file(&storage, PATH) == file(&storage, "other/name.ckpt"));
}

#[test]
fn equal_states_built_apart_are_identical() {
    assert!(image(&Train::new(1)) == image(&Train::new(1)));
    assert!(image(&Train::new(1)) != image(&Train::new(2)));
    for _ in 0..5 {
        assert!(image(&hashed()) == image(&hashed()));
    }
}

#[test]
fn a_state_that_was_loaded_is_saved_as_the_file_it_came_from() {
    let storage = Memory::new();
    let fabric = on(&storage);
    fabric.save(PATH, &Train::new(1)).unwrap();
    let mut live = Train::new(2);
    fabric.load(PATH, &mut live).unwrap();
    fabric.save("again", &live).unwrap();
    assert!(file(&storage, PATH) == file(&storage, "again"));
}

/// What the second process does; started as a test of its own it has nowhere to save to, and judges its own state.
#[test]
fn second_process() {
    match std::env::var(TARGET) {
        Ok(path) => drop(Fabric::new().save(path, &hashed()).unwrap()),
        Err(_) => assert!(image(&hashed()).len() > 2048),
    }
}

#[test]
fn two_processes_write_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let files: HashSet<Vec<u8>> = ["one", "two"]
        .map(|name| {
            let path = directory.path().join(name);
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "same_bytes::second_process"])
                .env(TARGET, &path)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
            std::fs::read(path).unwrap()
        })
        .into();
    assert_eq!(files.len(), 1, "the processes wrote different files");
    assert!(
        files.contains(&image(&hashed())),
        "memory and disk hold different files"
    );
}
