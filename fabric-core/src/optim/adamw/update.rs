//! The arithmetic of `AdamW`, in the order of candle's operations.

use candle_core::{Result, Tensor, Var};
use candle_nn::ParamsAdamW;

use crate::optim::element::{Element, Num};
use crate::optim::fused::Update;

/// The scalars of one step of one parameter ("Decoupled Weight Decay Regularization", Loshchilov and Hutter, 2019,
/// algorithm 2).
pub(in crate::optim) struct AdamWUpdate {
    lr: f64,
    kept: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    scale_m: f64,
    scale_v: f64,
}

impl AdamWUpdate {
    /// The `step`-th step, counted from one.
    pub(in crate::optim) fn new(params: &ParamsAdamW, step: u64) -> Self {
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        Self {
            lr: params.lr,
            kept: 1.0 - params.lr * params.weight_decay,
            beta1: params.beta1,
            beta2: params.beta2,
            eps: params.eps,
            scale_m: 1.0 / (1.0 - params.beta1.powi(step)),
            scale_v: 1.0 / (1.0 - params.beta2.powi(step)),
        }
    }
}

/// The state is the mean and the mean square, and with amsgrad the largest mean square.
impl<const N: usize> Update<N> for AdamWUpdate {
    fn fused<T: Element>(&self, theta: &mut [T], state: [&mut [T]; N], grad: &[T]) {
        // Equal lengths that the compiler sees leave no check in the loop.
        let (len, grad) = (theta.len(), &grad[..theta.len()]);
        let state = state.map(|part| &mut part[..len]);
        let [lr, kept, eps] = [self.lr, self.kept, self.eps].map(Num::<T>::scalar);
        let [beta1, beta2, scale_m, scale_v] =
            [self.beta1, self.beta2, self.scale_m, self.scale_v].map(Num::<T>::scalar);
        let [gain1, gain2] = [1.0 - self.beta1, 1.0 - self.beta2].map(Num::<T>::scalar);
        for at in 0..len {
            let g = Num::of(grad[at]);
            let m = Num::of(state[0][at]).scaled(beta1) + g.scaled(gain1);
            let v = Num::of(state[1][at]).scaled(beta2) + (g * g).scaled(gain2);
            state[0][at] = m.get();
            state[1][at] = v.get();
            let mut largest = v;
            if N == 3 {
                largest = Num::of(state[2][at]).or_larger(v);
                state[2][at] = largest.get();
            }
            let direction = m.scaled(scale_m) / largest.scaled(scale_v).sqrt().shifted(eps);
            theta[at] = (Num::of(theta[at]).scaled(kept) - direction.scaled(lr)).get();
        }
    }

    fn by_tensors(&self, theta: &Var, state: &[Var; N], grad: &Tensor) -> Result<()> {
        let m = ((state[0].as_tensor() * self.beta1)? + (grad * (1.0 - self.beta1))?)?;
        let v = ((state[1].as_tensor() * self.beta2)? + (grad.sqr()? * (1.0 - self.beta2))?)?;
        let mut largest = v.clone();
        if N == 3 {
            largest = state[2].as_tensor().maximum(&v)?;
        }
        let direction = ((&m * self.scale_m)? / ((&largest * self.scale_v)?.sqrt()? + self.eps)?)?;
        let next = ((theta.as_tensor() * self.kept)? - (direction * self.lr)?)?;
        state[0].set(&m)?;
        state[1].set(&v)?;
        if N == 3 {
            state[2].set(&largest)?;
        }
        theta.set(&next)
    }
}
