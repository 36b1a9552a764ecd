//! Runs of PyTorch that go on here: the steps that PyTorch took next, from the same state on the same batches, against
//! the numbers that PyTorch wrote (`tests/peers/make_continuations.py`).

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, linear};
use fabric_core::optim::{AdamW, Group, ParamsSgd, Sgd};
use fabric_core::{Checkpoint, Fabric, RawCheckpoint, Strategy, named_parameters};
use testkit::states::image;

/// Steps in each record.
const STEPS: usize = 5;

/// A run in `tests/fixtures/pytorch/continued`.
fn fixture(name: &str) -> PathBuf {
    super::fixture("continued").join(name)
}

#[derive(Checkpoint)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn new(dtype: DType) -> (Self, VarMap) {
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, dtype, &Device::Cpu);
        let model = Self {
            fc1: linear(3, 5, builder.pp("fc1")).unwrap(),
            fc2: linear(5, 2, builder.pp("fc2")).unwrap(),
        };
        (model, variables)
    }

    fn loss(&self, inputs: &Tensor, targets: &Tensor) -> Tensor {
        let hidden = self.fc1.forward(inputs).unwrap().tanh().unwrap();
        let outputs = self.fc2.forward(&hidden).unwrap();
        (outputs - targets).unwrap().sqr().unwrap().mean_all().unwrap()
    }
}

#[derive(Checkpoint)]
struct Training<O> {
    model: Mlp,
    optimizer: O,
    iteration: u64,
}

impl<O: Optimizer> Training<O> {
    fn new(dtype: DType, make: impl FnOnce(&Mlp) -> O) -> Self {
        let (model, _) = Mlp::new(dtype);
        Self {
            optimizer: make(&model),
            model,
            iteration: 0,
        }
    }

    /// Takes the steps of a record, and says how far losses and weights were from PyTorch's at most.
    fn distance(&mut self, record: &RawCheckpoint) -> f64 {
        let read = |name: &str| record.tensor(name, &Device::Cpu).unwrap();
        let mut farthest = 0f64;
        for step in 0..STEPS {
            let loss = self
                .model
                .loss(&read(&format!("inputs.{step}")), &read(&format!("targets.{step}")));
            farthest = farthest.max(apart(&loss, &read(&format!("losses.{step}"))));
            self.optimizer.backward_step(&loss).unwrap();
            for (name, weight) in named_parameters(&self.model) {
                farthest = farthest.max(apart(&weight, &read(&format!("weights.{step}.{name}"))));
            }
        }
        farthest
    }
}

/// The largest difference between two elements; infinite if one is no number.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    let difference = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
    let elements: Vec<f64> = difference.to_dtype(DType::F64).unwrap().to_vec1().unwrap();
    elements
        .into_iter()
        .fold(0., |most, x| if x.is_nan() { f64::INFINITY } else { most.max(x) })
}

fn vars(model: &Mlp) -> Vec<Var> {
    named_parameters(model).into_iter().map(|(_, var)| var).collect()
}

/// Weights in one group, biases in the other, as the fixtures with two groups have them.
fn split(model: &Mlp) -> (Vec<Var>, Vec<Var>) {
    vars(model).into_iter().partition(|var| var.dims().len() == 2)
}

/// Hyper-parameters of which the file must leave nothing.
fn wrong_adamw() -> ParamsAdamW {
    ParamsAdamW {
        lr: 0.5,
        beta1: 0.1,
        beta2: 0.2,
        eps: 0.1,
        weight_decay: 0.9,
    }
}

fn adamw(model: &Mlp) -> AdamW {
    AdamW::new(vars(model), wrong_adamw()).unwrap()
}

fn adamw_groups(model: &Mlp) -> AdamW {
    let (weights, biases) = split(model);
    AdamW::with_groups([Group::new(weights, wrong_adamw()), Group::new(biases, wrong_adamw())]).unwrap()
}

/// By itself, an optimizer knows the names that it was given.
fn adamw_named_groups(model: &Mlp) -> AdamW {
    let (weights, biases): (Vec<_>, Vec<_>) = named_parameters(model)
        .into_iter()
        .partition(|(_, var)| var.dims().len() == 2);
    AdamW::with_groups([
        Group::named(weights, wrong_adamw()),
        Group::named(biases, wrong_adamw()),
    ])
    .unwrap()
}

fn wrong_sgd(momentum: f64) -> ParamsSgd {
    ParamsSgd {
        lr: 0.5,
        momentum,
        weight_decay: 0.9,
        ..ParamsSgd::default()
    }
}

fn sgd(momentum: f64) -> impl Fn(&Mlp) -> Sgd {
    move |model| Sgd::new(vars(model), wrong_sgd(momentum)).unwrap()
}

fn sgd_groups(model: &Mlp) -> Sgd {
    let (weights, biases) = split(model);
    Sgd::with_groups([Group::new(weights, wrong_sgd(0.1)), Group::new(biases, wrong_sgd(0.1))]).unwrap()
}

/// The largest difference after five steps that rounding accounts for: losses and weights are near 1.
fn tolerance(dtype: DType) -> f64 {
    if dtype == DType::F64 { 1e-14 } else { 2e-6 }
}

fn check<O: Optimizer + Checkpoint>(file: &str, dtype: DType, make: impl Fn(&Mlp) -> O) {
    check_both(file, dtype, &make, &make);
}

/// `make` for an optimizer beside its model, `alone` for one by itself.
fn check_both<O: Optimizer + Checkpoint>(
    file: &str,
    dtype: DType,
    make: impl Fn(&Mlp) -> O,
    alone: impl Fn(&Mlp) -> O,
) {
    let fabric = Fabric::new();
    let mut state = Training::new(dtype, &make);
    fabric.load(fixture(file), &mut state).unwrap();
    let restored = image(&state);
    let record = fabric.open(fixture(file)).unwrap().subtree("record");
    check_file(&fixture(file), &record, dtype, &make, &alone);

    // Converted into checkpoints of this library, in one file and in several.
    let directory = tempfile::tempdir().unwrap();
    let [one, many] = ["one", "many"].map(|name| directory.path().join(name));
    fabric.consolidate(fixture(file), &one).unwrap();
    fabric.reshard(&one, &many, Strategy::fsdp().ranks(3)).unwrap();
    for path in [one, many] {
        let mut state = Training::new(dtype, &make);
        fabric.load(&path, &mut state).unwrap();
        assert!(image(&state) == restored, "{file}, converted to {}", path.display());
        check_file(&path, &record, dtype, &make, &alone);
    }
}

fn check_file<O: Optimizer + Checkpoint>(
    path: &Path,
    record: &RawCheckpoint,
    dtype: DType,
    make: impl Fn(&Mlp) -> O,
    alone: impl Fn(&Mlp) -> O,
) {
    let (fabric, file) = (Fabric::new(), path.display().to_string());
    let mut state = Training::new(dtype, &make);
    let loaded = fabric.load(path, &mut state).unwrap();
    assert!(loaded.report.is_complete(), "{file}: {}", loaded.report);
    assert!(state.iteration == 7 || state.iteration == 0, "{file}");
    let distance = state.distance(record);
    assert!(distance < tolerance(dtype), "{file}: {distance:e}");

    // The optimizer by itself, beside weights by themselves.
    let raw = fabric.open(path).unwrap();
    let mut apart = Training::new(dtype, &alone);
    raw.subtree("model").load_raw(&mut apart.model).unwrap();
    raw.subtree("optimizer").load_raw(&mut apart.optimizer).unwrap();
    let distance = apart.distance(record);
    assert!(distance < tolerance(dtype), "{file}, optimizer by itself: {distance:e}");

    // With weights alone it is another run: what is compared here can differ.
    let mut cold = Training::new(dtype, &make);
    raw.subtree("model").load_raw(&mut cold.model).unwrap();
    assert!(cold.distance(record) > 1e-3, "{file}");
}

#[test]
fn adamw_goes_on_as_in_pytorch() {
    check("adamw.pt", DType::F32, adamw);
    check("adamw_options.pt", DType::F32, adamw);
    check("adamw_f64.pt", DType::F64, adamw);
}

#[test]
fn adam_without_decay_goes_on_as_adamw() {
    check("adam.pt", DType::F32, adamw);
}

#[test]
fn groups_go_on_with_their_own_hyper_parameters() {
    check("adamw_groups.pt", DType::F32, adamw_groups);
    check("sgd_groups.pt", DType::F32, sgd_groups);
}

#[test]
fn optimizers_keyed_by_names_go_on() {
    check_both("adamw_names.pt", DType::F32, adamw_groups, adamw_named_groups);
    check_both("dcp", DType::F32, adamw_groups, adamw_named_groups);
    // Numbers, and names beside them.
    check("adamw_parameter_names.pt", DType::F32, adamw);
}

#[test]
fn a_learning_rate_in_a_tensor_is_a_learning_rate() {
    check("adamw_tensor_lr.pt", DType::F32, adamw);
    check("dcp_tensor_lr", DType::F32, adamw);
}

#[test]
fn sgd_goes_on_as_in_pytorch() {
    check("sgd.pt", DType::F32, sgd(0.));
    check("sgd_decay.pt", DType::F32, sgd(0.));
    check("sgd_momentum.pt", DType::F32, sgd(0.1));
    check("sgd_momentum_f64.pt", DType::F64, sgd(0.1));
    check("sgd_nesterov.pt", DType::F32, sgd(0.1));
    check("fabric.ckpt", DType::F32, sgd(0.1));
}

#[test]
fn a_run_that_has_not_begun_begins_as_in_pytorch() {
    check("adamw_start.pt", DType::F32, adamw);
    check("sgd_momentum_start.pt", DType::F32, sgd(0.1));
}

#[test]
fn what_would_train_otherwise_is_refused_with_a_sentence() {
    fn refused<O: Optimizer + Checkpoint>(file: &str, make: impl Fn(&Mlp) -> O, reason: &str) {
        let mut state = Training::new(DType::F32, make);
        let before = state.optimizer.learning_rate();
        let error = Fabric::new().load(fixture(file), &mut state).unwrap_err().to_string();
        assert!(error.contains(reason), "{file}: {error}");
        assert_eq!(
            (state.optimizer.learning_rate(), state.iteration),
            (before, 0),
            "{file}"
        );
    }
    refused("adam_decay.pt", adamw, "`decoupled_weight_decay` is false");
    refused("adamw_amsgrad.pt", adamw, "`amsgrad` is true");
    refused("adamw_maximize.pt", adamw, "`maximize` is true");
    refused("sgd_dampening.pt", sgd(0.1), "`dampening` is 0.1");
}
