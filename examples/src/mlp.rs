//! The model: three layers.

use candle_core::{Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, linear};
use fabric_core::Checkpoint;

/// A multi-layer perceptron. Deriving `Checkpoint` gives its six tensors their names: `fc1.weight` to `head.bias`.
#[derive(Checkpoint, Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    /// The last layer, which another task replaces.
    pub head: Linear,
}

impl Mlp {
    /// A model with the tensors that `builder` gives: new variables, or those of a checkpoint.
    ///
    /// # Errors
    /// If `builder` has no such tensors.
    pub fn new(inputs: usize, hidden: usize, classes: usize, builder: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            fc1: linear(inputs, hidden, builder.pp("fc1"))?,
            fc2: linear(hidden, hidden, builder.pp("fc2"))?,
            head: linear(hidden, classes, builder.pp("head"))?,
        })
    }
}

impl Module for Mlp {
    fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let hidden = self.fc1.forward(features)?.relu()?;
        self.head.forward(&self.fc2.forward(&hidden)?.relu()?)
    }
}
