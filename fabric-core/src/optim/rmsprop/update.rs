//! The arithmetic of `RmsProp`, in the order of PyTorch's operations.

use candle_core::{Result, Tensor, Var};

use super::ParamsRmsProp;
use crate::optim::element::{Element, Num};
use crate::optim::fused::Update;

/// One step. The state is the mean square, then the momentum's buffer, then the mean, as far as there are any.
pub(super) struct RmsPropUpdate<'h>(pub(super) &'h ParamsRmsProp);

/// The scalars of a step in the precision of the elements.
struct Scalars<T: Element> {
    lr: Num<T>,
    alpha: Num<T>,
    gain: Num<T>,
    eps: Num<T>,
    weight_decay: Num<T>,
    momentum: Num<T>,
}

impl<T: Element> Scalars<T> {
    fn new(params: &ParamsRmsProp) -> Self {
        Self {
            lr: Num::scalar(params.lr),
            alpha: Num::scalar(params.alpha),
            gain: Num::scalar(1.0 - params.alpha),
            eps: Num::scalar(params.eps),
            weight_decay: Num::scalar(params.weight_decay),
            momentum: Num::scalar(params.momentum),
        }
    }

    /// The gradient with the weight decay, which is left out at 0: an infinite parameter times 0 is NaN.
    fn decayed(&self, decays: bool, theta: Num<T>, grad: Num<T>) -> Num<T> {
        if decays {
            grad + theta.scaled(self.weight_decay)
        } else {
            grad
        }
    }

    fn mean(&self, old: Num<T>, new: Num<T>) -> Num<T> {
        old.scaled(self.alpha) + new.scaled(self.gain)
    }
}

impl<const N: usize> Update<N> for RmsPropUpdate<'_> {
    fn fused<T: Element>(&self, theta: &mut [T], state: [&mut [T]; N], grad: &[T]) {
        // Equal lengths that the compiler sees leave no check in the loop.
        let (len, grad) = (theta.len(), &grad[..theta.len()]);
        let state = state.map(|part| &mut part[..len]);
        let Self(params) = self;
        let scalars = Scalars::<T>::new(params);
        let (decays, has_momentum) = (params.weight_decay != 0.0, params.momentum > 0.0);
        for at in 0..len {
            let d = scalars.decayed(decays, Num::of(theta[at]), Num::of(grad[at]));
            let square = scalars.mean(Num::of(state[0][at]), d * d);
            state[0][at] = square.get();
            let spread = if params.centered {
                let mean = scalars.mean(Num::of(state[N - 1][at]), d);
                state[N - 1][at] = mean.get();
                square - mean * mean
            } else {
                square
            };
            let mut direction = d / spread.sqrt().shifted(scalars.eps);
            if has_momentum {
                direction = Num::of(state[1][at]).scaled(scalars.momentum) + direction;
                state[1][at] = direction.get();
            }
            theta[at] = (Num::of(theta[at]) - direction.scaled(scalars.lr)).get();
        }
    }

    fn by_tensors(&self, theta: &Var, state: &[Var; N], grad: &Tensor) -> Result<()> {
        let Self(params) = self;
        let mean = |old: &Var, new: &Tensor| (old.as_tensor() * params.alpha)? + (new * (1.0 - params.alpha))?;
        let d = if params.weight_decay == 0.0 {
            grad.clone()
        } else {
            (grad + (theta.as_tensor() * params.weight_decay)?)?
        };
        let square = mean(&state[0], &d.sqr()?)?;
        let mut spread = square.clone();
        if params.centered {
            let centre = mean(&state[N - 1], &d)?;
            spread = (spread - centre.sqr()?)?;
            state[N - 1].set(&centre)?;
        }
        let mut direction = (d / (spread.sqrt()? + params.eps)?)?;
        if params.momentum > 0.0 {
            direction = ((state[1].as_tensor() * params.momentum)? + direction)?;
            state[1].set(&direction)?;
        }
        let next = (theta.as_tensor() - (direction * params.lr)?)?;
        state[0].set(&square)?;
        theta.set(&next)
    }
}
