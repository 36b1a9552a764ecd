//! Loads of whole training states, and of the weights in them.

use candle_core::{DType, Device, Tensor};
use candle_nn::{LayerNorm, Linear, Optimizer, VarBuilder, VarMap, layer_norm, linear};
use fabric_core::optim::AdamW;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, LoadOptions, RawCheckpoint};
use serde::{Deserialize, Serialize};

use super::fixtures::{bits, expected, fixture};

#[derive(Checkpoint)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

#[derive(Checkpoint)]
struct Normed {
    fc1: Linear,
    norm: LayerNorm,
    fc2: Linear,
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Default)]
struct HParams {
    lr: f64,
    layers: Vec<usize>,
    name: String,
}

/// What Lightning Fabric was given.
#[derive(Checkpoint)]
struct Lightning {
    model: Mlp,
    optimizer: AdamW,
    iteration: u64,
    #[checkpoint(metadata)]
    hparams: HParams,
}

/// What `dcp.save` was given.
#[derive(Checkpoint)]
struct Train<M> {
    model: M,
    optimizer: AdamW,
    iteration: u64,
}

fn builder(variables: &VarMap) -> VarBuilder<'static> {
    VarBuilder::from_varmap(variables, DType::F32, &Device::Cpu)
}

fn mlp() -> (Mlp, AdamW) {
    let variables = VarMap::new();
    let vb = builder(&variables);
    let model = Mlp {
        fc1: linear(5, 8, vb.pp("fc1")).unwrap(),
        fc2: linear(8, 3, vb.pp("fc2")).unwrap(),
    };
    (model, AdamW::new_lr(variables.all_vars(), 0.5).unwrap())
}

fn normed() -> (Normed, AdamW) {
    let variables = VarMap::new();
    let vb = builder(&variables);
    let model = Normed {
        fc1: linear(4, 8, vb.pp("fc1")).unwrap(),
        norm: layer_norm(8, 1e-5, vb.pp("norm")).unwrap(),
        fc2: linear(8, 3, vb.pp("fc2")).unwrap(),
    };
    (model, AdamW::new_lr(variables.all_vars(), 0.5).unwrap())
}

/// The state as a checkpoint of ours, where it can be looked at.
fn saved<S: Checkpoint>(state: &S) -> RawCheckpoint {
    let fabric = Fabric::builder().storage(Memory::new()).build().unwrap();
    fabric.save("seen", state).unwrap();
    fabric.open("seen").unwrap()
}

/// The full name of a parameter that PyTorch names by number or within the module.
fn parameter(word: &str, names: &[&str]) -> String {
    let name = word.parse::<usize>().map_or(word, |at| names[at]);
    format!("model.{name}")
}

/// Everything that stands beside the fixture is in the state, bit for bit.
#[track_caller]
fn assert_state<S: Checkpoint>(state: &S, name: &str, parameters: &[&str]) {
    let raw = saved(state);
    for (entry, tensor) in expected(name) {
        let ours = match entry
            .strip_prefix("optimizer.state.")
            .and_then(|rest| rest.rsplit_once('.'))
        {
            Some((word, "step")) => {
                let step: f32 = tensor.to_vec0().unwrap();
                let name = format!("optimizer.state.{}.step", parameter(word, parameters));
                let ours = f64::from(raw.value::<u32>(&name).unwrap());
                assert_eq!(f64::from(step).to_bits(), ours.to_bits(), "{name}");
                continue;
            }
            Some((word, state)) => format!("optimizer.state.{}.{state}", parameter(word, parameters)),
            None => entry,
        };
        assert_eq!(
            bits(&raw.tensor(&ours, &Device::Cpu).unwrap()),
            bits(&tensor),
            "{name}, {ours}"
        );
    }
}

#[test]
fn a_directory_of_lightning_loads_with_no_further_words() {
    let (model, optimizer) = mlp();
    let mut state = Lightning {
        model,
        optimizer,
        iteration: 0,
        hparams: HParams::default(),
    };
    let loaded = Fabric::new().load(fixture("lightning_sharded"), &mut state).unwrap();
    assert!(
        loaded.report.is_complete() && loaded.remainder.is_empty(),
        "{}",
        loaded.report
    );
    assert_state(&state, "lightning_sharded", &[]);
    assert_eq!(state.iteration, 41);
    assert_eq!(state.optimizer.learning_rate().to_bits(), 0.01f64.to_bits());
    let hparams = HParams {
        lr: 0.01,
        layers: vec![5, 8, 3],
        name: "tiny".into(),
    };
    assert_eq!(state.hparams, hparams);
}

#[test]
fn shards_of_two_ranks_and_of_a_mesh_of_four_load_into_one_state() {
    for name in ["dcp_fsdp2", "dcp_hsdp4"] {
        let (model, optimizer) = mlp();
        let mut state = Train {
            model,
            optimizer,
            iteration: 0,
        };
        let options = LoadOptions::new().verify_first(true);
        let loaded = Fabric::new().load_with(fixture(name), &mut state, options).unwrap();
        assert!(
            loaded.report.is_complete() && loaded.remainder.is_empty(),
            "{}",
            loaded.report
        );
        assert_state(&state, name, &[]);
        assert_eq!(state.iteration, 41);
        assert_eq!(state.optimizer.learning_rate().to_bits(), 0.01f64.to_bits());
    }
}

#[test]
fn an_optimizer_that_counts_its_parameters_loads_too() {
    let (model, optimizer) = normed();
    let mut state = Train {
        model,
        optimizer,
        iteration: 0,
    };
    let loaded = Fabric::new().load(fixture("dcp_single"), &mut state).unwrap();
    assert!(
        loaded.report.is_complete() && loaded.remainder.is_empty(),
        "{}",
        loaded.report
    );
    let parameters = [
        "fc1.weight",
        "fc1.bias",
        "norm.weight",
        "norm.bias",
        "fc2.weight",
        "fc2.bias",
    ];
    assert_state(&state, "dcp_single", &parameters);
    assert_eq!(state.iteration, 41);
}

#[test]
fn the_weights_alone_are_loaded_from_below_their_root() {
    for name in ["dcp_fsdp2", "lightning_sharded"] {
        let (mut model, _) = mlp();
        let fabric = Fabric::new();
        let options = LoadOptions::new().root("model");
        fabric.load_raw_with(fixture(name), &mut model, options).unwrap();
        let expected = expected(name);
        let same = |ours: &Tensor, entry: &str| assert_eq!(bits(ours), bits(&expected[entry]), "{name}, {entry}");
        same(model.fc1.weight(), "model.fc1.weight");
        same(model.fc2.bias().unwrap(), "model.fc2.bias");
    }
}

#[test]
fn what_a_state_does_not_ask_for_remains_readable() {
    #[derive(Checkpoint)]
    struct Weights {
        model: Mlp,
    }
    let (model, _) = mlp();
    let mut state = Weights { model };
    let loaded = Fabric::new().load(fixture("dcp_hsdp4"), &mut state).unwrap();
    assert_eq!(loaded.remainder.len(), 12 + 2);
    let entry = "optimizer.state.fc2.weight.exp_avg";
    let moment = loaded.remainder.tensor(entry, &Device::Cpu).unwrap();
    assert_eq!(bits(&moment), bits(&expected("dcp_hsdp4")[entry]));
    let origin = loaded.remainder.origin();
    assert!(
        origin.is_absolute() && origin.ends_with("fixtures/pytorch/dcp_hsdp4"),
        "{}",
        origin.display()
    );
}
