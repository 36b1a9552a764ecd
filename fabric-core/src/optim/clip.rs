//! Clipping of gradients.

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, Var};

/// Added to a norm before it divides, as in PyTorch.
const EPSILON: f64 = 1e-6;

/// Scales the gradients of `vars` so that the L2 norm of all of them together is at most `max_norm`, and returns the norm before:
/// PyTorch's `torch.nn.utils.clip_grad_norm_` ("On the difficulty of training recurrent neural networks", Pascanu and others,
/// 2013, algorithm 1).
///
/// A variable without a gradient, and a variable that is given a second time, count for nothing. The norm is computed in `f32`, or
/// in `f64` for gradients of that type. Where the norm is not finite, the gradients stay as they are, so that the program can
/// leave out the step; PyTorch makes all of them NaN.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use fabric_core::optim::clip_grad_norm;
///
/// # fn main() -> candle_core::Result<()> {
/// let weight = Var::new(&[3f32, 4.], &Device::Cpu)?;
/// let loss = weight.sqr()?.sum_all()?;
/// let mut grads = loss.backward()?;
/// let norm = clip_grad_norm(&mut grads, &[weight.clone()], 1.0)?;
/// assert_eq!(norm, 10.);                                // of the gradient [6, 8]
/// let clipped = grads.get(&weight).expect("a gradient").to_vec1::<f32>()?;
/// assert!((clipped[0] - 0.6).abs() < 1e-6 && (clipped[1] - 0.8).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If `max_norm` is negative or NaN, or the device fails.
pub fn clip_grad_norm(grads: &mut GradStore, vars: &[Var], max_norm: f64) -> Result<f64> {
    if max_norm.is_nan() || max_norm < 0. {
        candle_core::bail!("max_norm is {max_norm}: give a number that is not negative");
    }
    let mut seen = std::collections::HashSet::new();
    let vars: Vec<&Var> = vars.iter().filter(|var| seen.insert(var.id())).collect();
    let mut squares = 0.;
    for grad in vars.iter().filter_map(|var| grads.get(var)) {
        squares += sum_of_squares(grad)?;
    }
    let norm = squares.sqrt();
    let scale = max_norm / (norm + EPSILON);
    if norm.is_finite() && scale < 1. {
        for var in vars {
            if let Some(grad) = grads.get(var) {
                let clipped = (grad * scale)?;
                grads.insert(var, clipped);
            }
        }
    }
    Ok(norm)
}

/// The sum of the squares of all elements.
fn sum_of_squares(grad: &Tensor) -> Result<f64> {
    let dtype = if grad.dtype() == DType::F64 {
        DType::F64
    } else {
        DType::F32
    };
    grad.to_dtype(dtype)?
        .sqr()?
        .sum_all()?
        .to_dtype(DType::F64)?
        .to_scalar::<f64>()
}
