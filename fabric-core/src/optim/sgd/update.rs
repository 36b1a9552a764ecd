//! The arithmetic of stochastic gradient descent.

use candle_core::{Result, Tensor, Var};

use super::ParamsSgd;
use crate::optim::element::{Element, Num};
use crate::optim::fused::Update;

/// A step without momentum.
pub(in crate::optim) struct PlainUpdate<'a>(pub(in crate::optim) &'a ParamsSgd);

/// A step with momentum ("On the importance of initialization and momentum in deep learning", Sutskever and others,
/// 2013, in the form that PyTorch gave it: the learning rate scales the buffer, and is not part of it).
pub(in crate::optim) struct MomentumUpdate<'a>(pub(in crate::optim) &'a ParamsSgd);

impl ParamsSgd {
    /// The gradient with weight decay; unchanged without decay, so that -0 and infinities stay.
    fn decay<T: Element>(&self) -> impl Fn(Num<T>, Num<T>) -> Num<T> + use<T> {
        let weight_decay = (self.weight_decay != 0.0).then(|| Num::<T>::scalar(self.weight_decay));
        move |theta, grad| match weight_decay {
            Some(weight_decay) => grad + theta.scaled(weight_decay),
            None => grad,
        }
    }

    fn decay_tensor(&self, theta: &Tensor, grad: &Tensor) -> Result<Tensor> {
        if self.weight_decay == 0.0 {
            Ok(grad.clone())
        } else {
            grad + (theta * self.weight_decay)?
        }
    }
}

impl Update<0> for PlainUpdate<'_> {
    fn fused<T: Element>(&self, theta: &mut [T], _: [&mut [T]; 0], grad: &[T]) {
        let lr = Num::<T>::scalar(self.0.lr);
        let decay = self.0.decay::<T>();
        for (theta, grad) in theta.iter_mut().zip(grad) {
            let before = Num::of(*theta);
            *theta = (before - decay(before, Num::of(*grad)).scaled(lr)).get();
        }
    }

    fn by_tensors(&self, theta: &Var, _: &[Var; 0], grad: &Tensor) -> Result<()> {
        let grad = self.0.decay_tensor(theta, grad)?;
        theta.set(&theta.sub(&(grad * self.0.lr)?)?)
    }
}

impl Update<1> for MomentumUpdate<'_> {
    fn fused<T: Element>(&self, theta: &mut [T], [buffer]: [&mut [T]; 1], grad: &[T]) {
        let [lr, momentum] = [self.0.lr, self.0.momentum].map(Num::<T>::scalar);
        let nesterov = self.0.nesterov;
        let decay = self.0.decay::<T>();
        for ((theta, buffer), grad) in theta.iter_mut().zip(buffer).zip(grad) {
            let before = Num::of(*theta);
            let grad = decay(before, Num::of(*grad));
            let average = Num::of(*buffer).scaled(momentum) + grad;
            let direction = if nesterov {
                grad + average.scaled(momentum)
            } else {
                average
            };
            *theta = (before - direction.scaled(lr)).get();
            *buffer = average.get();
        }
    }

    fn by_tensors(&self, theta: &Var, [buffer]: &[Var; 1], grad: &Tensor) -> Result<()> {
        let grad = self.0.decay_tensor(theta, grad)?;
        let average = ((buffer.as_tensor() * self.0.momentum)? + &grad)?;
        let direction = if self.0.nesterov {
            (grad + (&average * self.0.momentum)?)?
        } else {
            average.clone()
        };
        let next_theta = theta.sub(&(direction * self.0.lr)?)?;
        buffer.set(&average)?;
        theta.set(&next_theta)
    }
}
