//! Deterministic parameters and gradients for the tests, and a comparison by bits.

mod adamw;
mod arithmetic;
mod gradients;
mod groups;
mod hyperparameters;
mod resume;
mod sgd;
mod threads;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::Optimizer;

const DTYPES: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];

/// Shapes that end in the middle of every vector width, and one without dimensions.
fn shapes() -> Vec<Shape> {
    let mut shapes: Vec<Shape> = vec![().into(), 1.into(), 7.into(), 64.into()];
    shapes.extend([(37, 53).into(), (3, 5, 7).into()]);
    shapes
}

/// Numbers between -1 and 1, the same for the same seed; every 16th is zero.
fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let number = f64::from(u32::try_from(state >> 32).unwrap()) / f64::from(u32::MAX) * 2.0 - 1.0;
        if state.is_multiple_of(16) { 0.0 } else { number }
    };
    (0..count).map(|_| next()).collect()
}

fn tensor(seed: u64, shape: &Shape, dtype: DType) -> Tensor {
    let numbers = Tensor::from_vec(numbers(seed, shape.elem_count()), shape, &Device::Cpu);
    numbers.and_then(|numbers| numbers.to_dtype(dtype)).unwrap()
}

fn var(seed: u64, shape: &Shape, dtype: DType) -> Var {
    Var::from_tensor(&tensor(seed, shape, dtype)).unwrap()
}

fn vars(dtype: DType) -> Vec<Var> {
    (1..)
        .zip(shapes())
        .map(|(seed, shape)| var(seed, &shape, dtype))
        .collect()
}

fn gradient(var: &Var, seed: u64) -> Tensor {
    tensor(seed, var.shape(), var.dtype())
}

/// Gradients of the `step`-th step; each parameter goes without in some steps.
fn gradients(vars: &[Var], step: u64) -> GradStore {
    let mut grads = GradStore::default();
    for (index, var) in (0..).zip(vars) {
        if !(step + index).is_multiple_of(5) {
            grads.insert(var, gradient(var, 1000 * step + index));
        }
    }
    grads
}

/// The exact elements; a NaN is a NaN whatever its other bits.
fn bits(tensor: &Tensor) -> Vec<u64> {
    let elements = tensor
        .to_dtype(DType::F64)
        .and_then(|wide| wide.flatten_all()?.to_vec1::<f64>());
    let exact = |element: f64| {
        if element.is_nan() {
            f64::NAN.to_bits()
        } else {
            element.to_bits()
        }
    };
    elements.unwrap().into_iter().map(exact).collect()
}

fn assert_same(ours: &[Var], theirs: &[Var], when: &str) {
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(bits(ours), bits(theirs), "{:?} {:?} {when}", ours.dtype(), ours.shape());
    }
}

/// Variables of their own with the same elements.
fn twins(vars: &[Var]) -> Vec<Var> {
    vars.iter()
        .map(|var| Var::from_tensor(&var.as_detached_tensor()).unwrap())
        .collect()
}

fn train(optimizer: &mut impl Optimizer, vars: &[Var], steps: std::ops::RangeInclusive<u64>) -> Result<()> {
    steps
        .into_iter()
        .try_for_each(|step| optimizer.step(&gradients(vars, step)))
}
