//! A linear layer over several ranks, cut by its outputs or by its inputs.
//!
//! One after the other they make a block that needs a single sum: the first gives each rank some of the hidden features,
//! the second takes just these.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use candle_nn::{Linear, Module};
use fabric_core::Checkpoint;
use fabric_core::group::ProcessGroup;

use super::all_reduce::{from_parts, to_parts};
use super::part;

/// A layer of which each rank has some of the outputs: rows of the weight, and their biases. Takes an input that is the
/// same on all ranks, and gives this rank's outputs.
#[derive(Checkpoint, Debug)]
pub struct ColumnParallelLinear {
    #[checkpoint(flatten, shard(dim = 0, axis = "tp"))]
    part: Linear,
    #[checkpoint(skip)]
    group: Arc<dyn ProcessGroup>,
}

/// A layer of which each rank has some of the inputs: columns of the weight. Takes this rank's inputs, and gives all
/// outputs, summed over the ranks. The bias is whole on each.
#[derive(Checkpoint, Debug)]
pub struct RowParallelLinear {
    #[checkpoint(shard(dim = 1, axis = "tp"))]
    weight: Tensor,
    bias: Tensor,
    #[checkpoint(skip)]
    group: Arc<dyn ProcessGroup>,
}

impl ColumnParallelLinear {
    /// This rank's part of the layer with a `weight` of shape `[outputs, inputs]` and a `bias` of shape `[outputs]`.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn new(weight: &Tensor, bias: &Tensor, group: Arc<dyn ProcessGroup>) -> Result<Self> {
        let own = |tensor| part(tensor, 0, group.rank(), group.world_size());
        let part = Linear::new(own(weight)?.into_inner(), Some(own(bias)?.into_inner()));
        Ok(Self { part, group })
    }
}

impl RowParallelLinear {
    /// This rank's part of the layer with a `weight` of shape `[outputs, inputs]` and a `bias` of shape `[outputs]`.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn new(weight: &Tensor, bias: &Tensor, group: Arc<dyn ProcessGroup>) -> Result<Self> {
        Ok(Self {
            weight: part(weight, 1, group.rank(), group.world_size())?.into_inner(),
            bias: part(bias, 0, 0, 1)?.into_inner(),
            group,
        })
    }
}

impl Module for ColumnParallelLinear {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.part.forward(&to_parts(&self.group, input)?)
    }
}

impl Module for RowParallelLinear {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = Linear::new(self.weight.clone(), None).forward(input)?;
        from_parts(&self.group, &output)?.broadcast_add(&self.bias)
    }
}
