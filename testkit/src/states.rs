//! States that many tests start from, and ways to see every bit of one.

use std::path::Path;

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::{Linear, Module, Optimizer};
use fabric_core::optim::AdamW;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, LoadOptions, LoadReport, MismatchKind};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::random::random;

pub const CPU: Device = Device::Cpu;

/// Where most tests save to, in memory of their own.
pub const PATH: &str = "run/last.ckpt";

/// A variable in (-1, 1) whose contents follow from the seed.
pub fn var(seed: u64, shape: impl Into<Shape>) -> Var {
    let shape = shape.into();
    let mut random = random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut next = || {
        #[allow(clippy::cast_possible_truncation, reason = "the upper 16 bits of 64")]
        let top = (random() >> 48) as u16;
        (f32::from(top) - 32767.5) / 32768.
    };
    let elements: Vec<f32> = (0..shape.elem_count()).map(|_| next()).collect();
    Var::from_tensor(&Tensor::from_vec(elements, shape, &CPU).unwrap()).unwrap()
}

pub fn tensor(seed: u64, shape: impl Into<Shape>) -> Tensor {
    var(seed, shape).as_tensor().clone()
}

pub fn linear(seed: u64, input: usize, output: usize) -> Linear {
    Linear::new(tensor(seed, (output, input)), Some(tensor(seed + 1000, output)))
}

#[derive(Checkpoint)]
pub struct Mlp {
    pub fc1: Linear,
    pub fc2: Linear,
}

impl Mlp {
    pub fn new(seed: u64) -> Self {
        Self {
            fc1: linear(seed, 4, 8),
            fc2: linear(seed + 1, 8, 2),
        }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.fc2.forward(&self.fc1.forward(x).unwrap().relu().unwrap()).unwrap()
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub struct HParams {
    pub lr: f64,
    pub layers: Vec<usize>,
}

#[derive(Checkpoint)]
pub struct Train {
    pub model: Mlp,
    pub optimizer: AdamW,
    pub iteration: u64,
    #[checkpoint(metadata)]
    pub hparams: HParams,
}

impl Train {
    /// A state that has made three steps, different in every entry for every seed.
    pub fn new(seed: u64) -> Self {
        let model = Mlp::new(seed);
        let mut state = Self {
            #[allow(clippy::cast_precision_loss, reason = "seeds are small")]
            optimizer: AdamW::new_lr(variables(&model), 0.01 / seed as f64).unwrap(),
            model,
            iteration: seed * 100,
            hparams: HParams {
                lr: 0.5,
                layers: vec![4, usize::try_from(seed).unwrap()],
            },
        };
        for _ in 0..3 {
            state.step();
        }
        state
    }

    pub fn step(&mut self) {
        descend(&self.model, &mut self.optimizer);
        self.iteration += 1;
    }
}

/// One step on a batch that is always the same.
pub fn descend(model: &Mlp, optimizer: &mut impl Optimizer) {
    let x = Tensor::arange(0f32, 12., &CPU).unwrap().reshape((3, 4)).unwrap();
    let loss = model.forward(&x).sqr().unwrap().mean_all().unwrap();
    optimizer.backward_step(&loss).unwrap();
}

/// What an optimizer is built from.
pub fn variables<M: Checkpoint>(module: &M) -> Vec<Var> {
    fabric_core::named_parameters(module)
        .into_iter()
        .map(|(_, var)| var)
        .collect()
}

/// The bytes of a tensor as candle itself gives them out, in row-major order.
pub fn bits(tensor: &Tensor) -> Vec<u8> {
    fn of<T: candle_core::WithDType, const N: usize>(tensor: &Tensor, bytes: fn(T) -> [u8; N]) -> Vec<u8> {
        let elements = tensor.flatten_all().unwrap().to_vec1::<T>().unwrap();
        elements.into_iter().flat_map(bytes).collect()
    }
    match tensor.dtype() {
        DType::U8 => of(tensor, u8::to_le_bytes),
        DType::U32 => of(tensor, u32::to_le_bytes),
        DType::I16 => of(tensor, i16::to_le_bytes),
        DType::I32 => of(tensor, i32::to_le_bytes),
        DType::I64 => of(tensor, i64::to_le_bytes),
        DType::F32 => of(tensor, f32::to_le_bytes),
        DType::F64 => of(tensor, f64::to_le_bytes),
        // Both 16-bit types and the 8-bit one are exact in f32.
        _ => bits(&tensor.to_dtype(DType::F32).unwrap()),
    }
}

/// The bits of all learned tensors of a module, by name.
pub fn weights<M: Checkpoint>(module: &M) -> Vec<(String, Vec<u8>)> {
    let named = fabric_core::named_parameters(module).into_iter();
    named.map(|(name, var)| (name, bits(&var))).collect()
}

/// A place in memory to save to.
pub fn fabric() -> Fabric {
    on(&Memory::new())
}

/// A place in memory with a checkpoint of a state, and the state.
pub fn saved() -> (Fabric, Train) {
    let fabric = fabric();
    let state = Train::new(1);
    fabric.save(PATH, &state).unwrap();
    (fabric, state)
}

pub fn on(storage: &Memory) -> Fabric {
    files::on(storage.clone())
}

/// The bytes of a file.
pub fn file(storage: &Memory, path: impl AsRef<Path>) -> Vec<u8> {
    files::read(storage, path)
}

/// Every bit of a state, optimizer and values included: the file that a save of it writes. Entries that the schema
/// leaves out are not in it.
pub fn image<S: Checkpoint>(state: &S) -> Vec<u8> {
    let storage = Memory::new();
    on(&storage).save(PATH, state).unwrap();
    file(&storage, PATH)
}

/// Loads what must not load, sees that nothing changed, and gives back what was found.
pub fn refused<S: Checkpoint>(fabric: &Fabric, state: &mut S, options: LoadOptions) -> LoadReport {
    let before = image(state);
    let error = fabric.load_with(PATH, state, options).unwrap_err();
    assert!(image(state) == before, "a refused load changed the state: {error}");
    error.report().unwrap_or_else(|| panic!("no report: {error}")).clone()
}

/// What does not fit: names and kinds.
pub fn mismatched(report: &LoadReport) -> Vec<(&str, MismatchKind)> {
    let found = report.mismatched.iter();
    found.map(|mismatch| (mismatch.name.as_str(), mismatch.kind)).collect()
}
