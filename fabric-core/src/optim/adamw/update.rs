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

impl Update<2> for AdamWUpdate {
    fn fused<T: Element>(&self, theta: &mut [T], [exp_avg, exp_avg_sq]: [&mut [T]; 2], grad: &[T]) {
        let [lr, kept, eps] = [self.lr, self.kept, self.eps].map(Num::<T>::scalar);
        let [beta1, beta2, scale_m, scale_v] =
            [self.beta1, self.beta2, self.scale_m, self.scale_v].map(Num::<T>::scalar);
        let [gain1, gain2] = [1.0 - self.beta1, 1.0 - self.beta2].map(Num::<T>::scalar);
        for (((theta, m), v), g) in theta.iter_mut().zip(exp_avg).zip(exp_avg_sq).zip(grad) {
            let g = Num::of(*g);
            let next_m = Num::of(*m).scaled(beta1) + g.scaled(gain1);
            let next_v = Num::of(*v).scaled(beta2) + (g * g).scaled(gain2);
            let direction = next_m.scaled(scale_m) / next_v.scaled(scale_v).sqrt().shifted(eps);
            *theta = (Num::of(*theta).scaled(kept) - direction.scaled(lr)).get();
            *m = next_m.get();
            *v = next_v.get();
        }
    }

    fn by_tensors(&self, theta: &Var, [exp_avg, exp_avg_sq]: &[Var; 2], grad: &Tensor) -> Result<()> {
        let next_m = ((exp_avg.as_tensor() * self.beta1)? + (grad * (1.0 - self.beta1))?)?;
        let next_v = ((exp_avg_sq.as_tensor() * self.beta2)? + (grad.sqr()? * (1.0 - self.beta2))?)?;
        let direction = ((&next_m * self.scale_m)? / ((&next_v * self.scale_v)?.sqrt()? + self.eps)?)?;
        let next_theta = ((theta.as_tensor() * self.kept)? - (direction * self.lr)?)?;
        exp_avg.set(&next_m)?;
        exp_avg_sq.set(&next_v)?;
        theta.set(&next_theta)
    }
}
