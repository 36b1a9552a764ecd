//! The arithmetic of `Adam`, in the order of PyTorch's operations.

use candle_core::{Result, Tensor, Var};

use super::ParamsAdam;
use crate::optim::element::{Element, Num};
use crate::optim::fused::Update;

/// The scalars of one step of one parameter. The state is the mean, the mean square, and with amsgrad the largest mean square.
pub(super) struct AdamUpdate {
    beta1: f64,
    beta2: f64,
    eps: f64,
    /// Of the weight decay that is added to the gradient.
    coupled: f64,
    /// The factor of the parameter by the decoupled weight decay, if there is one.
    kept: Option<f64>,
    /// `lr / (1 - beta1^step)`.
    rate: f64,
    /// `sqrt(1 - beta2^step)`.
    root: f64,
}

impl AdamUpdate {
    /// The `step`-th step, counted from one.
    pub(super) fn new(params: &ParamsAdam, step: u64) -> Self {
        let step = i32::try_from(step).unwrap_or(i32::MAX);
        let (coupled, decoupled) = if params.decoupled {
            (0.0, params.weight_decay)
        } else {
            (params.weight_decay, 0.0)
        };
        Self {
            beta1: params.beta1,
            beta2: params.beta2,
            eps: params.eps,
            coupled,
            kept: (decoupled != 0.0).then_some(1.0 - params.lr * decoupled),
            rate: params.lr / (1.0 - params.beta1.powi(step)),
            root: (1.0 - params.beta2.powi(step)).sqrt(),
        }
    }
}

impl<const N: usize> Update<N> for AdamUpdate {
    fn fused<T: Element>(&self, theta: &mut [T], state: [&mut [T]; N], grad: &[T]) {
        // Equal lengths that the compiler sees leave no check in the loop.
        let (len, grad) = (theta.len(), &grad[..theta.len()]);
        let state = state.map(|part| &mut part[..len]);
        let [beta2, eps, coupled] = [self.beta2, self.eps, self.coupled].map(Num::<T>::scalar);
        let kept = self.kept.map(Num::<T>::scalar);
        let [gain1, gain2] = [1.0 - self.beta1, 1.0 - self.beta2].map(Num::<T>::scalar);
        let [rate, root] = [self.rate, self.root].map(Num::<T>::scalar);
        let is_coupled = self.coupled != 0.0;
        for at in 0..len {
            let mut weight = Num::of(theta[at]);
            if let Some(kept) = kept {
                weight = weight.scaled(kept);
            }
            let mut g = Num::of(grad[at]);
            if is_coupled {
                g = g + weight.scaled(coupled);
            }
            let mean = Num::of(state[0][at]);
            let mean = mean + (g - mean).scaled(gain1);
            let square = Num::of(state[1][at]).scaled(beta2) + (g * g).scaled(gain2);
            state[0][at] = mean.get();
            state[1][at] = square.get();
            let mut largest = square;
            if N == 3 {
                largest = Num::of(state[2][at]).or_larger(square);
                state[2][at] = largest.get();
            }
            let divisor = (largest.sqrt() / root).shifted(eps);
            theta[at] = (weight - (mean / divisor).scaled(rate)).get();
        }
    }

    fn by_tensors(&self, theta: &Var, state: &[Var; N], grad: &Tensor) -> Result<()> {
        let weight = match self.kept {
            Some(kept) => (theta.as_tensor() * kept)?,
            None => theta.as_tensor().clone(),
        };
        let g = if self.coupled == 0.0 {
            grad.clone()
        } else {
            (grad + (&weight * self.coupled)?)?
        };
        let mean = state[0].as_tensor();
        let mean = (mean + ((&g - mean)? * (1.0 - self.beta1))?)?;
        let square = ((state[1].as_tensor() * self.beta2)? + (g.sqr()? * (1.0 - self.beta2))?)?;
        let mut largest = square.clone();
        if N == 3 {
            largest = state[2].as_tensor().maximum(&square)?;
            state[2].set(&largest)?;
        }
        let divisor = ((largest.sqrt()? / self.root)? + self.eps)?;
        let next = (weight - ((&mean / divisor)? * self.rate)?)?;
        state[0].set(&mean)?;
        state[1].set(&square)?;
        theta.set(&next)
    }
}
