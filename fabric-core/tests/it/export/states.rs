//! States with contents that are the same on every machine.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::{BatchNorm, Linear, Optimizer, ParamsAdamW};
use fabric_core::optim::{AdamW, Group, ParamsSgd, Sgd};
use fabric_core::{Checkpoint, named_parameters};
use serde::{Deserialize, Serialize};

/// Multiples of 1/64 in (-1, 1): exact in every element type but the smallest.
pub(crate) fn var(seed: usize, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let element = |at: usize| f32::from(i16::try_from((at * 37 + seed * 101 + 5) % 127).unwrap() - 63) / 64.;
    let elements: Vec<f32> = (0..shape.elem_count()).map(element).collect();
    let tensor = Tensor::from_vec(elements, shape, &Device::Cpu).unwrap();
    Var::from_tensor(&tensor).unwrap().into_inner()
}

fn linear(seed: usize, input: usize, output: usize) -> Linear {
    Linear::new(var(seed, (output, input)), Some(var(seed + 1, output)))
}

#[derive(Checkpoint)]
pub(crate) struct Net {
    pub(crate) embed: Tensor,
    pub(crate) fc1: Linear,
    pub(crate) bn: BatchNorm,
    pub(crate) fc2: Linear,
    pub(crate) head: Tensor,
    pub(crate) scale: f64,
}

impl Net {
    pub(crate) fn new() -> Self {
        let embed = var(1, (5, 4));
        let variance = var(7, 6).affine(1., 2.).unwrap();
        Self {
            fc1: linear(2, 4, 6),
            bn: BatchNorm::new(6, var(6, 6), variance, var(8, 6), var(9, 6), 1e-5).unwrap(),
            fc2: linear(10, 6, 5),
            head: embed.clone(),
            embed,
            scale: 0.5,
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Hparams {
    pub(crate) name: String,
    pub(crate) layers: Vec<usize>,
    pub(crate) dropout: Option<f64>,
}

#[derive(Checkpoint)]
pub(crate) struct Training<O> {
    pub(crate) model: Net,
    pub(crate) optimizer: O,
    pub(crate) iteration: u64,
    pub(crate) best: f64,
    #[checkpoint(metadata)]
    pub(crate) hparams: Hparams,
}

impl<O: Optimizer + Checkpoint> Training<O> {
    fn new(model: Net, optimizer: O) -> Self {
        let mut state = Self {
            model,
            optimizer,
            iteration: 3_000_000_000,
            best: 0.25,
            hparams: Hparams {
                name: "größe".to_owned(),
                layers: vec![4, 6, 5],
                dropout: None,
            },
        };
        for step in 0..3 {
            state.step(step);
        }
        state
    }

    /// One step with gradients that depend on its number alone.
    pub(crate) fn step(&mut self, step: usize) {
        let mut grads = GradStore::default();
        for (at, (_, var)) in named_parameters(&self.model).iter().enumerate() {
            grads.insert(var, self::var(20 + 7 * step + at, var.shape()).detach());
        }
        self.optimizer.step(&grads).unwrap();
    }
}

fn vars(model: &Net) -> Vec<Var> {
    named_parameters(model).into_iter().map(|(_, var)| var).collect()
}

pub(crate) fn with_adamw() -> Training<AdamW> {
    let model = Net::new();
    let mut vars = vars(&model);
    let rest = vars.split_off(3);
    let params = ParamsAdamW {
        lr: 0.01,
        weight_decay: 0.1,
        ..ParamsAdamW::default()
    };
    let slower = ParamsAdamW {
        lr: 0.001,
        ..params.clone()
    };
    let optimizer = AdamW::with_groups([Group::new(vars, params), Group::new(rest, slower)]).unwrap();
    Training::new(model, optimizer)
}

pub(crate) fn with_sgd(momentum: f64) -> Training<Sgd> {
    let model = Net::new();
    let params = ParamsSgd {
        momentum,
        weight_decay: 0.01,
        ..ParamsSgd::from(0.05)
    };
    let optimizer = Sgd::new(vars(&model), params).unwrap();
    Training::new(model, optimizer)
}

/// A tensor of each of candle's element types that PyTorch has too.
pub(crate) fn every_dtype() -> std::collections::BTreeMap<String, Tensor> {
    let types = [
        DType::U8,
        DType::U32,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::BF16,
        DType::F16,
        DType::F32,
        DType::F64,
        DType::F8E4M3,
    ];
    let of = |dtype: DType| {
        let tensor = var(3, (3, 4)).abs().unwrap().affine(16., 0.).unwrap();
        (format!("t_{}", dtype.as_str()), tensor.to_dtype(dtype).unwrap())
    };
    let mut all: std::collections::BTreeMap<_, _> = types.into_iter().map(of).collect();
    all.insert("scalar".into(), Tensor::new(2.5f32, &Device::Cpu).unwrap());
    all.insert("empty".into(), Tensor::zeros((0, 4), DType::F32, &Device::Cpu).unwrap());
    all.insert("transposed".into(), var(4, (2, 3)).t().unwrap());
    all
}
