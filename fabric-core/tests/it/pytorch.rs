//! Files that PyTorch and Lightning wrote, loaded as a user would.

#![allow(
    clippy::float_cmp,
    reason = "numbers that were moved, not computed, are equal to the bit"
)]

mod continued;
mod models;
mod names;
mod optimizers;
mod states;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::{LayerNorm, Linear, VarBuilder, VarMap, layer_norm, linear};
use fabric_core::Checkpoint;
use testkit::files::fixture;

/// The model of the fixtures.
#[derive(Checkpoint)]
struct Mlp {
    fc1: Linear,
    norm: LayerNorm,
    fc2: Linear,
}

impl Mlp {
    fn new() -> (Self, VarMap) {
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let mlp = Self {
            fc1: linear(4, 8, builder.pp("fc1")).unwrap(),
            norm: layer_norm(8, 1e-5, builder.pp("norm")).unwrap(),
            fc2: linear(8, 3, builder.pp("fc2")).unwrap(),
        };
        (mlp, variables)
    }
}

/// What PyTorch says is in a file.
fn expected(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture(format!("{name}.expected.safetensors")), &Device::Cpu).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let numbers = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    numbers.into_iter().map(f32::to_bits).collect()
}

/// Compares a model with the entries of a file below `prefix`.
fn assert_weights(model: &Mlp, file: &str, prefix: &str) {
    let expected = expected(file);
    for (name, variable) in fabric_core::named_parameters(model) {
        let of_file = &expected[&format!("{prefix}{name}")];
        assert_eq!(bits(&variable), bits(of_file), "{file}: {name}");
    }
}
