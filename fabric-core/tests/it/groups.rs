//! Parameters split into groups by rules.

#![allow(clippy::float_cmp, reason = "these numbers are exact")]

use candle_core::{DType, Device, Module, Tensor, Var};
use candle_nn::{LayerNorm, Linear};
use fabric_core::optim::{
    Adam, AdamW, Groups, Lion, Optimizer, ParamsAdam, ParamsAdamW, ParamsLion, ParamsRmsProp, ParamsSgd, RmsProp, Sgd,
};
use fabric_core::{Checkpoint, Fabric};

#[derive(Checkpoint)]
struct Model {
    fc: Linear,
    norm: LayerNorm,
    head: Linear,
}

/// Weights and biases that are far from each other for different seeds.
fn var(seed: u16, shape: &[usize]) -> Var {
    let count = u16::try_from(shape.iter().product::<usize>()).unwrap();
    let numbers = (0..count)
        .map(|at| f32::from((at * 7 + seed * 3) % 11) / 5. - 1.)
        .collect();
    let tensor = Tensor::from_vec::<_, f32>(numbers, shape, &Device::Cpu).unwrap();
    Var::from_tensor(&tensor).unwrap()
}

impl Model {
    fn new(seed: u16) -> Self {
        let tensor = |add, shape: &[usize]| var(seed + add, shape).into_inner();
        Self {
            fc: Linear::new(tensor(1, &[4, 3]), Some(tensor(2, &[4]))),
            norm: LayerNorm::new(tensor(3, &[4]), tensor(4, &[4]), 1e-5),
            head: Linear::new(tensor(5, &[2, 4]), Some(tensor(6, &[2]))),
        }
    }

    /// The loss of one batch. Every parameter has a gradient.
    fn loss(&self) -> Tensor {
        let x = Tensor::new(&[[1f32, -2., 0.5], [0.25, 1., -1.]], &Device::Cpu).unwrap();
        // The fused norm of candle has no gradient.
        let (scale, shift) = (self.norm.weight(), self.norm.bias().unwrap());
        let hidden = candle_nn::ops::layer_norm_slow(&self.fc.forward(&x).unwrap(), scale, shift, 1e-5).unwrap();
        let out = self.head.forward(&hidden.gelu().unwrap()).unwrap();
        (out - 1.).unwrap().sqr().unwrap().mean_all().unwrap()
    }
}

const DECAY: f64 = 0.25;

fn is_vector(_: &str, tensor: &Tensor) -> bool {
    tensor.rank() < 2
}

/// One group of matrices with weight decay, and one of vectors without.
fn split<P: Clone>(model: &Model, decayed: P, plain: P) -> Groups<P> {
    Groups::of(model, decayed).rule("vectors", is_vector, plain).unwrap()
}

fn adamw(model: &Model, lr: f64) -> AdamW {
    let params = |weight_decay| ParamsAdamW {
        lr,
        weight_decay,
        ..ParamsAdamW::default()
    };
    AdamW::with_groups(split(model, params(DECAY), params(0.))).unwrap()
}

#[derive(Checkpoint)]
struct State<O: Checkpoint> {
    model: Model,
    optimizer: O,
}

impl<O: Checkpoint + Optimizer> State<O> {
    fn new(seed: u16, optimizer: impl Fn(&Model) -> O) -> Self {
        let model = Model::new(seed);
        let optimizer = optimizer(&model);
        Self { model, optimizer }
    }

    fn train(&mut self, steps: usize) {
        for _ in 0..steps {
            self.optimizer.backward_step(&self.model.loss()).unwrap();
        }
    }

    fn bits(&self) -> Vec<u32> {
        let of = |var: Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let parameters = fabric_core::named_parameters(&self.model).into_iter();
        parameters.flat_map(|(_, var)| of(var)).map(f32::to_bits).collect()
    }
}

#[test]
fn norms_and_biases_get_no_weight_decay() {
    let model = Model::new(0);
    let mut optimizer = adamw(&model, 0.5);
    // A gradient of zeros moves nothing: what a step changes is the weight decay alone.
    let mut grads = candle_core::backprop::GradStore::default();
    let parameters = fabric_core::named_parameters(&model);
    let before: Vec<Vec<f32>> = parameters.iter().map(|(_, var)| numbers(var)).collect();
    for (_, var) in &parameters {
        grads.insert(var, var.zeros_like().unwrap());
    }
    optimizer.step(&grads).unwrap();
    for ((name, var), before) in parameters.iter().zip(before) {
        let kept = if ["fc.weight", "head.weight"].contains(&name.as_str()) {
            1. - 0.5 * 0.25
        } else {
            1.
        };
        let expected: Vec<f32> = before.into_iter().map(|number| number * kept).collect();
        assert_eq!(numbers(var), expected, "{name}");
    }
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn every_parameter_is_in_the_group_of_the_first_rule_that_selects_it() {
    let model = Model::new(0);
    let groups = Groups::of(&model, 0)
        .matching(&["head.*"], 1)
        .and_then(|groups| groups.matching(&["norm.*", "*.bias"], 2))
        .unwrap();
    let expected = [
        vec!["fc.weight"],
        vec!["head.weight", "head.bias"],
        vec!["fc.bias", "norm.weight", "norm.bias"],
    ];
    assert_eq!(groups.names(), expected);
    let all: usize = groups.names().iter().map(Vec::len).sum();
    assert_eq!(all, fabric_core::named_parameters(&model).len());
}

#[test]
fn a_rule_that_selects_nothing_is_an_error_with_its_name() {
    let model = Model::new(0);
    let groups = || Groups::of(&model, 0);
    let said = |groups: candle_core::Result<Groups<i32>>| groups.unwrap_err().to_string();
    let error = said(groups().rule("embeddings", |name, _| name.contains("embed"), 1));
    assert!(
        error.contains("`embeddings`") && error.contains("6 parameters") && error.contains("`fc.weight`"),
        "{error}"
    );
    // The other pattern of the two selects three parameters.
    let error = said(groups().matching(&["*.bias", "*.scale"], 1));
    assert!(error.contains("`*.scale`"), "{error}");
    // An earlier rule has all vectors.
    let vectors = groups().rule("vectors", is_vector, 1).unwrap();
    let error = said(vectors.matching(&["*.bias"], 2));
    assert!(
        error.contains("`*.bias`") && error.contains("no earlier rule"),
        "{error}"
    );
    let error = said(groups().rule("all", |_, _| true, 1).unwrap().matching(&["*"], 2));
    assert!(error.contains("no parameter is left"), "{error}");
    let error = said(groups().matching(&["[a"], 1));
    assert!(error.contains("[a"), "{error}");
}

/// Saves after three steps, loads into another model, and compares three further steps with those of the state that was saved.
fn resumes<O: Checkpoint + Optimizer>(optimizer: impl Fn(&Model, f64) -> O) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.ckpt");
    let mut saved = State::new(0, |model| optimizer(model, 0.05));
    saved.train(3);
    Fabric::new().save(&file, &saved).unwrap();
    let mut resumed = State::new(5, |model| optimizer(model, 0.5));
    Fabric::new().load(&file, &mut resumed).unwrap();
    let start = saved.bits();
    saved.train(3);
    resumed.train(3);
    assert_eq!(resumed.bits(), saved.bits());
    assert_ne!(saved.bits(), start);
}

#[test]
fn every_optimizer_takes_groups_by_rule_and_resumes_bit_for_bit() {
    resumes(adamw);
    resumes(|model, lr| {
        let params = |weight_decay| ParamsAdam {
            lr,
            weight_decay,
            ..ParamsAdam::default()
        };
        Adam::with_groups(split(model, params(DECAY), params(0.))).unwrap()
    });
    resumes(|model, lr| {
        let params = |weight_decay| ParamsSgd {
            weight_decay,
            momentum: 0.9,
            ..ParamsSgd::from(lr)
        };
        Sgd::with_groups(split(model, params(DECAY), params(0.))).unwrap()
    });
    resumes(|model, lr| {
        let params = |weight_decay| ParamsRmsProp {
            lr,
            weight_decay,
            ..ParamsRmsProp::default()
        };
        RmsProp::with_groups(split(model, params(DECAY), params(0.))).unwrap()
    });
    resumes(|model, lr| {
        let params = |weight_decay| ParamsLion {
            lr,
            weight_decay,
            ..ParamsLion::default()
        };
        Lion::with_groups(split(model, params(DECAY), params(0.))).unwrap()
    });
}

#[test]
fn a_checkpoint_names_the_parameters_of_each_group() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.ckpt");
    let saved = State::new(0, |model| adamw(model, 0.05));
    Fabric::new().save(&file, &saved).unwrap();
    let groups = Fabric::new()
        .open(&file)
        .unwrap()
        .value::<serde_json::Value>("optimizer.param_groups")
        .unwrap();
    assert_eq!(groups[0]["weight_decay"], DECAY);
    assert_eq!(
        groups[0]["params"],
        serde_json::json!(["model.fc.weight", "model.head.weight"])
    );
    assert_eq!(groups[1]["weight_decay"], 0.);
    assert_eq!(groups[1]["params"].as_array().unwrap().len(), 4);
}

#[test]
fn integers_and_second_names_of_a_tied_parameter_are_in_no_group() {
    #[derive(Checkpoint)]
    struct Tied {
        embedding: Var,
        head: Var,
        counts: Var,
    }
    let embedding = var(1, &[3, 2]);
    let model = Tied {
        head: embedding.clone(),
        embedding,
        counts: Var::zeros(3, DType::U32, &Device::Cpu).unwrap(),
    };
    assert_eq!(Groups::of(&model, 0).names(), [["embedding"]]);
    Groups::of(&model, 0).matching(&["counts"], 1).unwrap_err();
}
