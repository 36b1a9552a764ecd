//! Whole training states: Lightning's Fabric and its Trainer.

use candle_core::{DType, Device};
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Fabric, LoadOptions};
use serde::{Deserialize, Serialize};

use super::{Mlp, assert_weights, fixture};

#[derive(Serialize, Deserialize, Debug, PartialEq, Default)]
struct HParams {
    lr: f64,
    layers: Vec<usize>,
    name: String,
}

#[derive(Checkpoint)]
struct TrainState {
    model: Mlp,
    optimizer: AdamW,
    iteration: u64,
    #[checkpoint(metadata)]
    hparams: HParams,
}

fn train_state() -> TrainState {
    let (model, variables) = Mlp::new();
    TrainState {
        model,
        optimizer: AdamW::new_lr(variables.all_vars(), 0.5).unwrap(),
        iteration: 0,
        hparams: HParams::default(),
    }
}

#[test]
fn a_file_of_lightning_fabric_loads_with_no_further_words() {
    let mut state = train_state();
    let loaded = Fabric::new().load(fixture("fabric_single.ckpt"), &mut state).unwrap();
    assert!(
        loaded.report.is_complete() && loaded.remainder.is_empty(),
        "{}",
        loaded.report
    );
    assert_weights(&state.model, "fabric_single.ckpt", "model.");
    assert_eq!(state.iteration, 41);
    assert_eq!(state.optimizer.params().lr, 0.01);
    let expected = HParams {
        lr: 0.01,
        layers: vec![4, 8, 3],
        name: "tiny".into(),
    };
    assert_eq!(state.hparams, expected);
}

#[test]
fn a_filtered_file_lacks_what_the_filter_left_out() {
    let mut state = train_state();
    let fabric = Fabric::new();
    let error = fabric.load(fixture("fabric_filtered.ckpt"), &mut state).unwrap_err();
    let missing = &error.report().unwrap().missing;
    assert_eq!(missing, &["model.fc1.bias", "model.fc2.bias", "model.norm.bias"]);
    assert_eq!(state.iteration, 0);
    let loaded = fabric
        .load_with(
            fixture("fabric_filtered.ckpt"),
            &mut state,
            LoadOptions::new().strict(false),
        )
        .unwrap();
    assert_eq!((loaded.report.missing.len(), state.iteration), (3, 41));
}

/// A dict of values may be one value here, or a struct of several.
#[derive(Checkpoint)]
struct Taken {
    hparams: Apart,
}

#[derive(Checkpoint)]
struct Apart {
    lr: f64,
    name: String,
}

#[test]
fn a_dict_of_values_is_taken_apart_where_the_state_has_a_struct() {
    let mut taken = Taken {
        hparams: Apart {
            lr: 0.,
            name: String::new(),
        },
    };
    let fabric = Fabric::new();
    let error = fabric.load(fixture("fabric_single.ckpt"), &mut taken).unwrap_err();
    assert_eq!(error.report().unwrap().unexpected, ["hparams.layers"]);
    let loaded = fabric
        .load_with(
            fixture("fabric_single.ckpt"),
            &mut taken,
            LoadOptions::new().strict(false),
        )
        .unwrap();
    assert_eq!((taken.hparams.lr, taken.hparams.name.as_str()), (0.01, "tiny"));
    assert!(loaded.remainder.contains("hparams.layers") && !loaded.remainder.contains("hparams"));
    assert_eq!(loaded.remainder.value::<u32>("iteration").unwrap(), 41);
}

#[derive(Serialize, Deserialize)]
struct Hyper {
    width: usize,
}

#[derive(Checkpoint)]
struct TrainerState {
    model: Net,
    optimizer: AdamW,
    epoch: u32,
    global_step: u64,
    #[checkpoint(metadata)]
    hyper_parameters: Hyper,
}

#[derive(Checkpoint)]
struct Net {
    net: Mlp,
}

#[test]
fn a_checkpoint_of_the_trainer_loads_with_two_renames() {
    let (net, variables) = Mlp::new();
    let mut state = TrainerState {
        model: Net { net },
        optimizer: AdamW::new_lr(variables.all_vars(), 0.5).unwrap(),
        epoch: 0,
        global_step: 0,
        hyper_parameters: Hyper { width: 0 },
    };
    let options = LoadOptions::new()
        .rename("state_dict", "model")
        .rename("optimizer_states.0", "optimizer");
    let loaded = Fabric::new()
        .load_with(fixture("trainer.ckpt"), &mut state, options)
        .unwrap();
    assert!(loaded.report.is_complete(), "{}", loaded.report);
    assert_weights(&state.model.net, "trainer.ckpt", "state_dict.net.");
    assert_eq!(
        (state.epoch, state.global_step, state.hyper_parameters.width),
        (2, 5, 8)
    );
    assert_eq!(
        loaded.remainder.names(),
        [
            "callbacks",
            "hparams_name",
            "loops",
            "lr_schedulers",
            "pytorch-lightning_version"
        ]
    );
}

#[test]
fn values_are_read_one_by_one() {
    let raw = Fabric::new().open(fixture("trainer.ckpt")).unwrap();
    assert_eq!(raw.value::<u64>("global_step").unwrap(), 5);
    assert_eq!(raw.value::<usize>("hyper_parameters.width").unwrap(), 8);
    assert_eq!(
        raw.value::<u64>("loops.fit_loop.epoch_loop.state_dict._batches_that_stepped")
            .unwrap(),
        5
    );
    assert!(raw.value::<u64>("hyper_parameters.height").is_err());
    let width = raw.subtree("hyper_parameters");
    assert_eq!(width.names(), ["width"]);
    let step = raw.tensor("optimizer_states.0.state.0.step", &Device::Cpu).unwrap();
    assert_eq!((step.dtype(), step.to_scalar::<f32>().unwrap()), (DType::F32, 5.));
}
