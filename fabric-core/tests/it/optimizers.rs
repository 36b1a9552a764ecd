//! Adam, `AdamW` with amsgrad, `RmsProp` and Lion beside the numbers that PyTorch and the authors' program wrote.

#![allow(clippy::float_cmp, reason = "these numbers are exact")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Module, Tensor, Var};
use candle_nn::Linear;
use fabric_core::optim::{
    Adam, AdamW, Group, Lion, Optimizer, ParamsAdam, ParamsAdamW, ParamsLion, ParamsRmsProp, RmsProp,
};
use fabric_core::{Checkpoint, Error, Fabric};
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/optim")
        .join(name)
}

fn fixture<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

#[derive(Deserialize)]
struct Trained {
    start: Vec<f64>,
    grads: Vec<Vec<f64>>,
    after: Vec<Vec<f64>>,
}

const ADAM: ParamsAdam = ParamsAdam {
    lr: 0.1,
    beta1: 0.8,
    beta2: 0.95,
    eps: 1e-8,
    weight_decay: 0.3,
    decoupled: false,
    amsgrad: false,
};

const RMSPROP: ParamsRmsProp = ParamsRmsProp {
    lr: 0.1,
    alpha: 0.9,
    eps: 1e-8,
    weight_decay: 0.0,
    momentum: 0.0,
    centered: false,
};

const LION: ParamsLion = ParamsLion {
    lr: 0.1,
    beta1: 0.8,
    beta2: 0.95,
    weight_decay: 0.0,
};

fn adam(name: &str) -> ParamsAdam {
    match name {
        "adam" => ParamsAdam {
            weight_decay: 0.0,
            ..ADAM
        },
        "adam_decay" => ADAM,
        "adam_amsgrad" => ParamsAdam { amsgrad: true, ..ADAM },
        _ => ParamsAdam {
            amsgrad: true,
            decoupled: true,
            ..ADAM
        },
    }
}

/// `AdamW` with the hyper-parameters of the fixture `adamw_amsgrad`.
fn adamw(vars: Vec<Var>, amsgrad: bool) -> AdamW {
    let params = ParamsAdamW {
        lr: ADAM.lr,
        beta1: ADAM.beta1,
        beta2: ADAM.beta2,
        eps: ADAM.eps,
        weight_decay: ADAM.weight_decay,
    };
    AdamW::new(vars, params).unwrap().amsgrad(amsgrad).unwrap()
}

fn rmsprop(name: &str) -> ParamsRmsProp {
    ParamsRmsProp {
        momentum: if matches!(name, "rmsprop_momentum" | "rmsprop_both") {
            0.7
        } else {
            0.0
        },
        weight_decay: if name == "rmsprop_momentum" { 0.3 } else { 0.0 },
        centered: matches!(name, "rmsprop_centered" | "rmsprop_both"),
        ..RMSPROP
    }
}

fn lion(name: &str) -> ParamsLion {
    ParamsLion {
        weight_decay: if name == "lion_decay" { 0.3 } else { 0.0 },
        ..LION
    }
}

type Step = Box<dyn FnMut(&GradStore) -> candle_core::Result<()>>;

fn step_of(mut optimizer: impl Optimizer + 'static) -> Step {
    Box::new(move |grads| optimizer.step(grads))
}

/// The step of the optimizer with this name over a variable.
fn optimizer(name: &str, var: &Var) -> Step {
    let vars = vec![var.clone()];
    if name.starts_with("adam") {
        step_of(Adam::new(vars, adam(name)).unwrap())
    } else if name.starts_with("rmsprop") {
        step_of(RmsProp::new(vars, rmsprop(name)).unwrap())
    } else {
        step_of(Lion::new(vars, lion(name)).unwrap())
    }
}

/// The parameter after each step. `transposed` leaves the fused pass for candle's operations.
fn trained(optimizer: impl Fn(&Var) -> Step, from: &Trained, dtype: DType, transposed: bool) -> Vec<Vec<f64>> {
    let count = from.start.len();
    let tensor = |numbers: &[f64]| {
        let tensor = Tensor::new(numbers, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        if transposed {
            // Two columns, of which the second is not looked at: the elements are not contiguous.
            Tensor::stack(&[&tensor, &tensor], 0).unwrap().t().unwrap()
        } else {
            tensor
        }
    };
    let var = Var::from_tensor(&tensor(&from.start)).unwrap();
    let mut step = optimizer(&var);
    let of_step = |grad: &Vec<f64>| {
        let mut grads = GradStore::default();
        grads.insert(&var, tensor(grad));
        step(&grads).unwrap();
        let all = var.to_dtype(DType::F64).unwrap();
        let first = if transposed { all.narrow(1, 0, 1).unwrap() } else { all };
        let numbers = first.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(numbers.len(), count);
        numbers
    };
    from.grads.iter().map(of_step).collect()
}

fn assert_steps(name: &str, by_type: &BTreeMap<String, Trained>, optimizer: impl Fn(&Var) -> Step) {
    for (dtype, most) in [(DType::F64, 1e-12), (DType::F32, 2e-6)] {
        let expected = &by_type[dtype.as_str()];
        for transposed in [false, true] {
            let found = trained(&optimizer, expected, dtype, transposed);
            for (step, (found, expected)) in found.iter().zip(&expected.after).enumerate() {
                for (found, expected) in found.iter().zip(expected) {
                    let near = (found - expected).abs() <= most * expected.abs().max(1.0);
                    assert!(
                        near,
                        "{name}, {dtype:?}, {transposed}, step {step}: {found}, not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_step_is_that_of_pytorch_and_of_the_authors() {
    let cases: BTreeMap<String, BTreeMap<String, Trained>> = fixture("steps.json");
    assert_eq!(cases.len(), 10);
    for (name, by_type) in &cases {
        assert_steps(name, by_type, |var| optimizer(name, var));
    }
}

#[test]
fn every_step_of_adamw_with_amsgrad_is_that_of_pytorch() {
    let cases: BTreeMap<String, BTreeMap<String, Trained>> = fixture("steps.json");
    let of_pytorch = &cases["adamw_amsgrad"];
    assert_steps("AdamW", of_pytorch, |var| step_of(adamw(vec![var.clone()], true)));
    // The largest mean square makes a difference in this fixture.
    let start = &of_pytorch["f64"];
    let [with, without] = [true, false].map(|amsgrad| {
        trained(
            |var| step_of(adamw(vec![var.clone()], amsgrad)),
            start,
            DType::F64,
            false,
        )
    });
    assert_ne!(with, without);
}

#[derive(Checkpoint)]
struct State<O: Checkpoint> {
    model: Linear,
    optimizer: O,
}

fn parameters() -> (Linear, Vec<Var>) {
    let weight = Var::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
    let bias = Var::zeros(2, DType::F32, &Device::Cpu).unwrap();
    let model = Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone()));
    (model, vec![weight, bias])
}

impl<O: Checkpoint + Optimizer> State<O> {
    fn new(params: O::Config) -> Self {
        Self::with(|vars| O::new(vars, params).unwrap())
    }

    fn with(optimizer: impl FnOnce(Vec<Var>) -> O) -> Self {
        let (model, vars) = parameters();
        let optimizer = optimizer(vars);
        Self { model, optimizer }
    }

    fn train(&mut self, steps: usize) {
        let x = Tensor::new(&[[1f32, -2., 0.5]], &Device::Cpu).unwrap();
        for _ in 0..steps {
            let loss = self.model.forward(&x).unwrap().sqr().unwrap().sum_all().unwrap();
            self.optimizer.backward_step(&loss).unwrap();
        }
    }

    fn weights(&self) -> [Vec<f32>; 2] {
        [self.model.weight(), self.model.bias().unwrap()].map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap())
    }
}

#[derive(Deserialize)]
struct Parameters {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// Loads the state that PyTorch saved after three steps, goes on for two, and saves, loads and goes on once more.
fn go_on<O: Checkpoint + Optimizer>(name: &str, new: impl Fn() -> State<O>) {
    let fabric = Fabric::new();
    let mut state = new();
    let loaded = fabric.load(path(&format!("{name}.pt")), &mut state).unwrap();
    assert!(loaded.remainder.is_empty(), "{name}: {:?}", loaded.remainder.names());
    state.train(2);
    let expected: Parameters = fixture(&format!("{name}.json"));
    for (found, expected) in state.weights().iter().zip([expected.weight, expected.bias]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 2e-6, "{name}: {found}, not {expected}");
        }
    }
    resumed(&state, new);
}

/// A save and a load between three steps give the bits of three steps without a stop. Lion goes back and forth near a minimum, so
/// that an even number of steps may change nothing.
fn resumed<O: Checkpoint + Optimizer>(state: &State<O>, new: impl Fn() -> State<O>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.ckpt");
    let fabric = Fabric::new();
    fabric.save(&file, state).unwrap();
    let mut resumed = [new(), new()];
    for resumed in &mut resumed {
        fabric.load(&file, resumed).unwrap();
    }
    let [mut through, mut stopped] = resumed;
    through.train(3);
    stopped.train(1);
    fabric.save(&file, &stopped).unwrap();
    let mut last = new();
    fabric.load(&file, &mut last).unwrap();
    last.train(2);
    let bits = |state: &State<O>| {
        state
            .weights()
            .map(|numbers| numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>())
    };
    assert_eq!(bits(&last), bits(&through));
    assert_ne!(bits(&last), bits(state));
}

#[test]
fn a_training_of_pytorch_goes_on_and_resumes_bit_for_bit() {
    for name in ["adam_decay", "adam_amsgrad"] {
        go_on(name, || State::<Adam>::new(adam(name)));
    }
    go_on("adamw_amsgrad", || State::with(|vars| adamw(vars, true)));
    go_on("rmsprop_both", || State::<RmsProp>::new(rmsprop("rmsprop_both")));
    let mut state = State::<Lion>::new(LION);
    state.train(3);
    resumed(&state, || State::new(lion("lion_decay")));
}

#[test]
fn a_state_of_other_tensors_or_of_another_optimizer_is_refused_by_name() {
    let refused = |error: Error| error.to_string();
    let fabric = Fabric::new();
    let file = path("adam_amsgrad.pt");
    let error = refused(
        fabric
            .load(&file, &mut State::<Adam>::new(adam("adam_decay")))
            .unwrap_err(),
    );
    assert!(error.contains("max_exp_avg_sq"), "{error}");
    let error = refused(fabric.load(&file, &mut State::<RmsProp>::new(RMSPROP)).unwrap_err());
    assert!(error.contains("Adam"), "{error}");
    let error = refused(
        fabric
            .load(path("rmsprop_both.pt"), &mut State::<RmsProp>::new(RMSPROP))
            .unwrap_err(),
    );
    assert!(error.contains("momentum_buffer"), "{error}");
}

#[test]
fn hyper_parameters_without_a_meaning_are_refused() {
    let (_, vars) = parameters();
    let said = |result: candle_core::Result<()>| result.unwrap_err().to_string();
    let error = said(Adam::new(vars.clone(), ParamsAdam { beta1: 1.0, ..ADAM }).map(drop));
    assert!(error.contains("`beta1` is 1"), "{error}");
    let error = said(RmsProp::new(vars.clone(), ParamsRmsProp { eps: -1.0, ..RMSPROP }).map(drop));
    assert!(error.contains("`eps` is -1"), "{error}");
    let error = said(Lion::new_lr(vars.clone(), f64::NAN).map(drop));
    assert!(error.contains("`lr` is NaN"), "{error}");
    let mut optimizer = Adam::with_groups([Group::new(vars, ADAM)]).unwrap();
    let error = said(optimizer.set_groups(&[ParamsAdam { amsgrad: true, ..ADAM }]));
    assert!(
        error.contains("max_exp_avg_sq") && optimizer.params() == &ADAM,
        "{error}"
    );
    optimizer.set_learning_rate(0.5);
    assert_eq!(optimizer.learning_rate(), 0.5);
}

#[test]
fn adamw_and_a_file_that_differ_in_amsgrad_are_refused_with_the_call_that_helps() {
    let fabric = Fabric::new();
    let directory = tempfile::tempdir().unwrap();
    let files = [false, true].map(|amsgrad| directory.path().join(format!("{amsgrad}.ckpt")));
    let state = |amsgrad| State::with(|vars| adamw(vars, amsgrad));
    for (amsgrad, file) in [false, true].into_iter().zip(&files) {
        let mut state = state(amsgrad);
        state.train(1);
        fabric.save(file, &state).unwrap();
    }
    for (amsgrad, file) in [true, false].into_iter().zip(&files) {
        let mut state = state(amsgrad);
        let before = state.weights();
        let error = fabric.load(file, &mut state).unwrap_err().to_string();
        let help = format!("call `AdamW::amsgrad({})` before the first step", !amsgrad);
        assert!(error.contains("max_exp_avg_sq") && error.contains(&help), "{error}");
        assert_eq!(state.weights(), before);
    }
}

#[test]
fn the_first_step_decides_whether_adamw_has_amsgrad() {
    let mut state = State::with(|vars| adamw(vars, true));
    state.train(2);
    let error = state.optimizer.amsgrad(false).unwrap_err().to_string();
    assert!(
        error.contains("has taken 2 steps") && error.contains("before the first one"),
        "{error}"
    );
    let (_, vars) = parameters();
    let optimizer = adamw(vars, true).amsgrad(false).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("plain.ckpt");
    Fabric::new().save(&file, &optimizer).unwrap();
    let names = Fabric::new().open(&file).unwrap().names().join(" ");
    assert!(!names.contains("max_exp_avg_sq"), "{names}");
}
