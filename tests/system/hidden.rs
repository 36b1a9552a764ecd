//! Modules that hide their tensors: through the `VarMap` they were built from, and through a recording.

use candle_core::{DType, Module, ModuleT, Tensor};
use candle_nn::rnn::{GRUConfig, LSTMConfig, RNN};
use candle_nn::{GroupNorm, Linear, Sequential, VarBuilder, VarMap};
use fabric_core::optim::{AdamW, Optimizer};
use fabric_core::{Checkpoint, LoadOptions, Recording};

use crate::states::{CPU, PATH, bits, fabric, image, refused, tensor, weights};

/// A model of hidden parts only.
struct Model {
    norm: GroupNorm,
    lstm: candle_nn::LSTM,
    gru: candle_nn::GRU,
    head: Sequential,
}

impl Model {
    fn new(builder: &VarBuilder<'_>) -> Self {
        Self {
            norm: candle_nn::group_norm(2, 4, 1e-5, builder.pp("norm")).unwrap(),
            lstm: candle_nn::lstm(6, 5, LSTMConfig::default(), builder.pp("lstm")).unwrap(),
            gru: candle_nn::gru(5, 3, GRUConfig::default(), builder.pp("gru")).unwrap(),
            head: candle_nn::seq()
                .add(candle_nn::linear(3, 4, builder.pp("head.0")).unwrap())
                .add(candle_nn::Activation::Relu)
                .add(candle_nn::linear(4, 1, builder.pp("head.2")).unwrap()),
        }
    }

    fn forward(&self) -> Tensor {
        let x = self.norm.forward_t(&tensor(7, (2, 4, 6)), true).unwrap();
        let states = self.lstm.seq(&x).unwrap();
        let states = self.gru.seq(&self.lstm.states_to_tensor(&states).unwrap()).unwrap();
        self.head.forward(&states.last().unwrap().h).unwrap()
    }
}

/// Gives every variable contents that follow from a seed and its name: candle draws its own by chance.
fn fill(variables: &VarMap, seed: u64) {
    for (name, var) in variables.data().lock().unwrap().iter() {
        let own = name
            .bytes()
            .fold(seed, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        var.set(&tensor(own, var.shape())).unwrap();
    }
}

fn built(seed: u64) -> (Model, VarMap) {
    let variables = VarMap::new();
    let model = Model::new(&VarBuilder::from_varmap(&variables, DType::F32, &CPU));
    fill(&variables, seed);
    (model, variables)
}

fn recorded(seed: u64) -> (Model, Recording) {
    let variables = VarMap::new();
    let (builder, recording) = Recording::of(VarBuilder::from_varmap(&variables, DType::F32, &CPU));
    let model = Model::new(&builder);
    fill(&variables, seed);
    (model, recording)
}

#[derive(Checkpoint)]
struct State<M> {
    model: M,
    step: u64,
}

const NAMES: [&str; 14] = [
    "gru.bias_hh_l0",
    "gru.bias_ih_l0",
    "gru.weight_hh_l0",
    "gru.weight_ih_l0",
    "head.0.bias",
    "head.0.weight",
    "head.2.bias",
    "head.2.weight",
    "lstm.bias_hh_l0",
    "lstm.bias_ih_l0",
    "lstm.weight_hh_l0",
    "lstm.weight_ih_l0",
    "norm.bias",
    "norm.weight",
];

#[test]
fn a_var_map_in_the_state_holds_what_the_model_hides() {
    let fabric = fabric();
    let (saved, variables) = built(1);
    fabric
        .save(
            PATH,
            &State {
                model: variables,
                step: 4,
            },
        )
        .unwrap();
    assert_eq!(fabric.open(PATH).unwrap().subtree("model").names(), NAMES);
    let (live, variables) = built(2);
    assert_ne!(bits(&live.forward()), bits(&saved.forward()));
    let mut state = State {
        model: variables,
        step: 0,
    };
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!(bits(&live.forward()), bits(&saved.forward()));
    assert_eq!(state.step, 4);
}

#[test]
fn a_recording_in_the_state_holds_what_the_model_hides() {
    let fabric = fabric();
    let (saved, recording) = recorded(1);
    fabric
        .save(
            PATH,
            &State {
                model: recording,
                step: 4,
            },
        )
        .unwrap();
    assert_eq!(fabric.open(PATH).unwrap().subtree("model").names(), NAMES);
    let (live, recording) = recorded(2);
    fabric
        .load(
            PATH,
            &mut State {
                model: recording,
                step: 0,
            },
        )
        .unwrap();
    assert_eq!(bits(&live.forward()), bits(&saved.forward()));
}

#[test]
fn both_ways_write_the_same_file() {
    assert!(
        image(&State {
            model: built(1).1,
            step: 4
        }) == image(&State {
            model: recorded(1).1,
            step: 4
        })
    );
}

#[test]
fn a_recording_below_a_prefix_names_relative_to_it() {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &CPU).pp("decoder.layers");
    let (builder, recording) = Recording::of(builder);
    candle_nn::linear(2, 2, builder.pp("0")).unwrap();
    let names: Vec<String> = recording.tensors().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["0.weight", "0.bias"]);
    assert!(variables.data().lock().unwrap().contains_key("decoder.layers.0.weight"));
}

#[test]
fn a_model_records_the_same_tensor_once_however_often_it_asks() {
    #[derive(Checkpoint)]
    struct Shared {
        shared: Linear,
    }

    let variables = VarMap::new();
    let (builder, recording) = Recording::of(VarBuilder::from_varmap(&variables, DType::F32, &CPU));
    let first = candle_nn::linear_no_bias(2, 3, builder.pp("shared")).unwrap();
    let second = candle_nn::linear_no_bias(2, 3, builder.pp("shared")).unwrap();
    assert_eq!(recording.tensors().len(), 1);
    let mut state = State {
        model: recording,
        step: 0,
    };
    let fabric = fabric();
    let saved = Linear::new(tensor(1, (3, 2)), None);
    fabric
        .save(
            PATH,
            &State {
                model: Shared { shared: saved },
                step: 1,
            },
        )
        .unwrap();
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!(bits(first.weight()), bits(&tensor(1, (3, 2))));
    assert_eq!(bits(second.weight()), bits(first.weight()));
}

#[test]
fn a_recording_over_a_backend_without_variables_is_restored_too() {
    let weights = [("weight".to_owned(), tensor(1, (3, 2)))].into();
    let (builder, recording) = Recording::of(VarBuilder::from_tensors(weights, DType::F32, &CPU));
    let layer = candle_nn::linear_no_bias(2, 3, builder).unwrap();
    let fabric = fabric();
    fabric.save(PATH, &Linear::new(tensor(5, (3, 2)), None)).unwrap();
    let mut recording = recording;
    fabric.load(PATH, &mut recording).unwrap();
    assert_eq!(bits(layer.weight()), bits(&tensor(5, (3, 2))));
}

#[test]
fn the_optimizer_of_a_hidden_model_is_keyed_by_the_recorded_names() {
    #[derive(Checkpoint)]
    struct Train {
        model: Recording,
        optimizer: AdamW,
    }
    let train = |seed: u64| {
        let variables = VarMap::new();
        let (builder, recording) = Recording::of(VarBuilder::from_varmap(&variables, DType::F32, &CPU));
        let model = Model::new(&builder);
        fill(&variables, seed);
        // The order of a map's variables differs from one to the next.
        (
            model,
            Train {
                optimizer: AdamW::new_lr(variables.all_vars(), 0.05).unwrap(),
                model: recording,
            },
        )
    };
    let step = |model: &Model, train: &mut Train| {
        train
            .optimizer
            .backward_step(&model.forward().sqr().unwrap().mean_all().unwrap())
            .unwrap();
    };
    let fabric = fabric();
    let (model, mut saved) = train(1);
    (0..3).for_each(|_| step(&model, &mut saved));
    fabric.save(PATH, &saved).unwrap();
    let (other, mut live) = train(2);
    fabric.load(PATH, &mut live).unwrap();
    for _ in 0..3 {
        step(&model, &mut saved);
        step(&other, &mut live);
    }
    assert!(weights(&live) == weights(&saved));
    assert!(image(&live) == image(&saved));
}

#[test]
fn a_hidden_model_of_another_size_is_refused() {
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &State {
                model: built(1).1,
                step: 4,
            },
        )
        .unwrap();
    let variables = VarMap::new();
    candle_nn::lstm(
        6,
        7,
        LSTMConfig::default(),
        VarBuilder::from_varmap(&variables, DType::F32, &CPU).pp("lstm"),
    )
    .unwrap();
    let report = refused(
        &fabric,
        &mut State {
            model: variables,
            step: 0,
        },
        LoadOptions::new(),
    );
    assert_eq!(
        (report.mismatched.len(), report.unexpected.len(), report.missing.len()),
        (4, 10, 0)
    );
}
