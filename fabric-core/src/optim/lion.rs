//! Lion: the sign of an interpolated momentum.

use candle_core::{Result, Tensor, Var};

use super::base::{Hyper, not_a_decay, not_below_zero, optimizer};
use super::element::{Element, Num};
use super::fused::{self, Update};
use super::hyper;
use crate::state::ParamGroup;
use crate::value::ValueError;

/// The hyper-parameters of [`Lion`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParamsLion {
    /// The learning rate. The authors take a third to a tenth of that of `AdamW`.
    pub lr: f64,
    /// The part of the momentum in the direction of a step.
    pub beta1: f64,
    /// The part of the old momentum in the new one.
    pub beta2: f64,
    /// The decoupled weight decay. The authors take three to ten times that of `AdamW`.
    pub weight_decay: f64,
}

impl Default for ParamsLion {
    fn default() -> Self {
        Self {
            lr: 1e-4,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.0,
        }
    }
}

optimizer! {
    /// Lion ("Symbolic Discovery of Optimization Algorithms", Chen and others, 2023, algorithm 2), with one tensor of state for each
    /// parameter.
    ///
    /// For a gradient `g` and a momentum `m` that begins as zeros: the parameter shrinks by the factor `1 - lr * weight_decay` and
    /// goes down by `lr * sign(beta1 * m + (1 - beta1) * g)`; then `m` becomes `beta2 * m + (1 - beta2) * g`.
    ///
    /// ```
    /// use candle_core::{DType, Device, Var};
    /// use fabric_core::optim::{Lion, Optimizer, ParamsLion};
    ///
    /// # fn main() -> candle_core::Result<()> {
    /// let weight = Var::zeros(2, DType::F32, &Device::Cpu)?;
    /// let optimizer = Lion::new(vec![weight], ParamsLion { lr: 1e-4, weight_decay: 1., ..ParamsLion::default() })?;
    /// assert_eq!(optimizer.learning_rate(), 1e-4);
    /// # Ok(())
    /// # }
    /// ```
    Lion, ParamsLion
}

impl Hyper for ParamsLion {
    const KIND: &'static str = "Lion";

    fn state_names(&self) -> &'static [&'static str] {
        &["exp_avg"]
    }

    fn flaw(&self) -> Option<String> {
        not_below_zero(&[("lr", self.lr), ("weight_decay", self.weight_decay)])
            .or_else(|| not_a_decay(&[("beta1", self.beta1), ("beta2", self.beta2)]))
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn update(&self, _step: u64, theta: &Var, state: &[Var], grad: &Tensor) -> Result<()> {
        fused::apply_to(self, theta, state, grad)
    }

    fn to_group(&self, members: Vec<usize>) -> ParamGroup {
        ParamGroup::new(members)
            .option("lr", self.lr)
            .option("betas", [self.beta1, self.beta2])
            .option("weight_decay", self.weight_decay)
    }

    fn from_group(group: &ParamGroup) -> std::result::Result<Self, ValueError> {
        let (beta1, beta2) = hyper::betas(group)?;
        Ok(Self {
            lr: hyper::number(group, "lr")?,
            beta1,
            beta2,
            weight_decay: hyper::number(group, "weight_decay")?,
        })
    }
}

impl Update<1> for ParamsLion {
    fn fused<T: Element>(&self, theta: &mut [T], [momentum]: [&mut [T]; 1], grad: &[T]) {
        let [beta1, beta2, lr] = [self.beta1, self.beta2, self.lr].map(Num::<T>::scalar);
        let [gain1, gain2] = [1.0 - self.beta1, 1.0 - self.beta2].map(Num::<T>::scalar);
        let kept = Num::<T>::scalar(1.0 - self.lr * self.weight_decay);
        for ((theta, m), g) in theta.iter_mut().zip(momentum).zip(grad) {
            let (old, g) = (Num::of(*m), Num::of(*g));
            let direction = (old.scaled(beta1) + g.scaled(gain1)).sign();
            *theta = (Num::of(*theta).scaled(kept) - direction.scaled(lr)).get();
            *m = (old.scaled(beta2) + g.scaled(gain2)).get();
        }
    }

    fn by_tensors(&self, theta: &Var, [momentum]: &[Var; 1], grad: &Tensor) -> Result<()> {
        let old = momentum.as_tensor();
        let direction = ((old * self.beta1)? + (grad * (1.0 - self.beta1))?)?.sign()?;
        let next_theta = ((theta.as_tensor() * (1.0 - self.lr * self.weight_decay))? - (direction * self.lr)?)?;
        let next_momentum = ((old * self.beta2)? + (grad * (1.0 - self.beta2))?)?;
        momentum.set(&next_momentum)?;
        theta.set(&next_theta)
    }
}
