//! `Checkpoint` for the modules of `candle_nn` that give access to their tensors, under PyTorch's names.
//!
//! `GroupNorm`, `LSTM`, `GRU`, `Sequential` and the models of candle-transformers hide their tensors: put the `VarMap`
//! that they were built from, or a [`Recording`](super::Recording), into the state.

use candle_core::Tensor;
use candle_nn::{
    BatchNorm, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Embedding, LayerNorm, Linear, PReLU, RmsNorm,
};

use super::tensors::{Listed, tensors_only};
use super::{Keys, Role};

const WEIGHT: Keys = Keys::some_of(&["weight"]);
const WEIGHT_AND_BIAS: Keys = Keys::some_of(&["weight", "bias"]);
const NORM: Keys = Keys::some_of(&["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]);

fn learned(name: &str, tensor: &Tensor) -> (String, Tensor, Role) {
    (name.to_owned(), tensor.clone(), Role::Parameter)
}

fn kept(name: &str, tensor: &Tensor) -> (String, Tensor, Role) {
    (name.to_owned(), tensor.clone(), Role::Buffer)
}

fn weight_and_bias(weight: &Tensor, bias: Option<&Tensor>) -> Listed {
    let mut listed = vec![learned("weight", weight)];
    listed.extend(bias.map(|bias| learned("bias", bias)));
    listed
}

tensors_only! {
    Linear, WEIGHT_AND_BIAS => |module| weight_and_bias(module.weight(), module.bias());
    Conv1d, WEIGHT_AND_BIAS => |module| weight_and_bias(module.weight(), module.bias());
    Conv2d, WEIGHT_AND_BIAS => |module| weight_and_bias(module.weight(), module.bias());
    ConvTranspose1d, WEIGHT_AND_BIAS => |module| weight_and_bias(module.weight(), module.bias());
    ConvTranspose2d, WEIGHT_AND_BIAS => |module| weight_and_bias(module.weight(), module.bias());
    LayerNorm, WEIGHT_AND_BIAS => |module| weight_and_bias(module.weight(), module.bias());
    RmsNorm, WEIGHT => |module| vec![learned("weight", module.weight())];
    PReLU, WEIGHT => |module| vec![learned("weight", module.weight())];
    Embedding, WEIGHT => |module| vec![learned("weight", module.embeddings())];
    // The order of PyTorch's state dict: learned tensors come first.
    BatchNorm, NORM => |module| {
        let mut listed = Listed::new();
        if let Some((weight, bias)) = module.weight_and_bias() {
            listed = weight_and_bias(weight, Some(bias));
        }
        listed.push(kept("running_mean", module.running_mean()));
        listed.push(kept("running_var", module.running_var()));
        listed
    };
}
