//! Training on several ranks: sums over a process group, layers that are cut in parts, and a small transformer of them.

pub mod all_reduce;
pub mod linear;
pub mod ranks;
pub mod text;
pub mod transformer;

use candle_core::{Result, Tensor, Var};

/// This rank's part of a tensor: along `dim`, as equal as can be, longer parts first.
///
/// # Errors
/// If the tensor has no such dimension.
pub fn part(tensor: &Tensor, dim: usize, rank: usize, ranks: usize) -> Result<Var> {
    let length = tensor.dim(dim)?;
    let start = |rank: usize| rank * (length / ranks) + rank.min(length % ranks);
    let part = tensor.narrow(dim, start(rank), start(rank + 1) - start(rank))?;
    // A copy also where the part is the whole: `from_tensor` would take a variable as it is.
    Var::from_tensor(&part.detach().force_contiguous()?)
}
