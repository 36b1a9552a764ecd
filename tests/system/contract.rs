//! The program of the design's contract, run.

use candle_core::{DType, Device, Tensor};
use candle_nn::{Linear, Module, Optimizer, VarBuilder, VarMap, linear};
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Fabric, LoadOptions, SaveOptions};
use serde::{Deserialize, Serialize};

#[derive(Checkpoint)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct HParams {
    lr: f64,
    layers: Vec<usize>,
}

#[derive(Checkpoint)]
struct TrainState {
    model: Mlp,
    optimizer: AdamW,
    iteration: u64,
    #[checkpoint(metadata)]
    hparams: HParams,
    #[checkpoint(skip)]
    device: Device,
}

fn state(seed: u32) -> TrainState {
    let vars = VarMap::new();
    let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
    let model = Mlp {
        fc1: linear(4, 8, builder.pp("fc1")).unwrap(),
        fc2: linear(8, 2, builder.pp("fc2")).unwrap(),
    };
    TrainState {
        model,
        optimizer: AdamW::new_lr(vars.all_vars(), 0.01).unwrap(),
        iteration: seed.into(),
        hparams: HParams {
            lr: seed.into(),
            layers: vec![4, 8, 2],
        },
        device: Device::Cpu,
    }
}

fn step(state: &mut TrainState) {
    let x = Tensor::arange(0f32, 12., &state.device)
        .unwrap()
        .reshape((3, 4))
        .unwrap();
    let y = state
        .model
        .fc2
        .forward(&state.model.fc1.forward(&x).unwrap().relu().unwrap())
        .unwrap();
    let loss = y.sqr().unwrap().mean_all().unwrap();
    state.optimizer.backward_step(&loss).unwrap();
    state.iteration += 1;
}

fn weights(state: &TrainState) -> Vec<Vec<f32>> {
    fabric_core::named_parameters(&state.model)
        .into_iter()
        .map(|(_, var)| var.flatten_all().unwrap().to_vec1().unwrap())
        .collect()
}

#[test]
fn a_state_comes_back_as_it_was_and_trains_on_as_if_never_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/last.ckpt");
    let fabric = Fabric::new();
    let mut first = state(3);
    for _ in 0..5 {
        step(&mut first);
    }
    fabric.save(&path, &first).unwrap();
    let mut second = state(9);
    let loaded = fabric.load(&path, &mut second).unwrap();
    assert!(loaded.remainder.is_empty(), "{:?}", loaded.remainder.names());
    assert_eq!(second.iteration, first.iteration);
    assert_eq!(second.hparams, first.hparams);
    for _ in 0..5 {
        step(&mut first);
        step(&mut second);
    }
    assert_eq!(weights(&first), weights(&second));

    let raw = fabric.open(&path).unwrap();
    assert_eq!(raw.value::<u64>("iteration").unwrap(), 8);
    assert_eq!(raw.tensor("model.fc1.weight", &Device::Cpu).unwrap().dims(), [8, 4]);
    assert_eq!(
        raw.subtree("model").names(),
        ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"]
    );
    let names = raw.names();
    for name in [
        "hparams",
        "iteration",
        "model.fc1.weight",
        "optimizer.param_groups",
        "optimizer.state.model.fc1.weight.exp_avg",
        "optimizer.state.model.fc2.bias.exp_avg_sq",
        "optimizer.state.model.fc2.bias.step",
    ] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
}

#[test]
fn a_part_is_restored_and_a_part_is_saved_through_typed_handles() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    let fabric = Fabric::new();
    let mut first = state(3);
    step(&mut first);
    fabric.save(&path, &first).unwrap();
    let mut second = state(9);
    let loaded = fabric
        .load_with(&path, &mut second, LoadOptions::new().only(TrainState::FIELDS.model))
        .unwrap();
    assert_eq!(weights(&second), weights(&first));
    assert_eq!((second.iteration, second.hparams.lr), (9, 9.));
    assert!(loaded.remainder.contains("iteration") && !loaded.remainder.contains("model.fc1.weight"));

    let matrices = SaveOptions::new().filter(TrainState::FIELDS.model, |name, t| {
        name.contains("weight") && t.shape().len() == 2
    });
    fabric.save_with(&path, &second, matrices).unwrap();
    let raw = fabric.open(&path).unwrap();
    assert_eq!(raw.subtree("model").names(), ["fc1.weight", "fc2.weight"]);
    assert_eq!(raw.filtered(), ["model.fc1.bias", "model.fc2.bias"]);
    let error = fabric.load(&path, &mut first).unwrap_err();
    assert_eq!(
        error.report().unwrap().filtered_at_save,
        ["model.fc1.bias", "model.fc2.bias"]
    );
}
