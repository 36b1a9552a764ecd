//! `RmsProp`: gradients divided by a running root mean square.

mod update;

use candle_core::{Result, Tensor, Var};

use self::update::RmsPropUpdate;
use super::base::{Hyper, not_a_decay, not_below_zero, optimizer};
use super::{fused, hyper};
use crate::state::ParamGroup;
use crate::value::ValueError;

/// The hyper-parameters of [`RmsProp`], with PyTorch's defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParamsRmsProp {
    /// The learning rate.
    pub lr: f64,
    /// The part of the old mean square in the new one.
    pub alpha: f64,
    /// Added to the root before it divides.
    pub eps: f64,
    /// The weight decay: the factor of the parameter that is added to its gradient.
    pub weight_decay: f64,
    /// The part of the old direction in the new one; none at 0.
    pub momentum: f64,
    /// True to divide by the standard deviation of the gradients in place of their root mean square.
    pub centered: bool,
}

impl Default for ParamsRmsProp {
    fn default() -> Self {
        Self {
            lr: 0.01,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
        }
    }
}

optimizer! {
    /// `RMSprop` (Tieleman and Hinton, "Neural Networks for Machine Learning", lecture 6.5, 2012), as `torch.optim.RMSprop` computes it.
    ///
    /// For a gradient `g`, `d = g + weight_decay * theta`, and `v` becomes `alpha * v + (1 - alpha) * d * d`. The parameter goes
    /// down by `lr * d / (sqrt(v) + eps)`; with a momentum, by `lr` times a buffer that becomes `momentum` times itself plus that
    /// quotient. `centered` subtracts the square of a running mean of `d` from `v` before the root.
    ///
    /// ```
    /// use candle_core::{DType, Device, Var};
    /// use fabric_core::optim::{Optimizer, ParamsRmsProp, RmsProp};
    ///
    /// # fn main() -> candle_core::Result<()> {
    /// let weight = Var::zeros(2, DType::F32, &Device::Cpu)?;
    /// let optimizer = RmsProp::new(vec![weight], ParamsRmsProp { lr: 1e-3, momentum: 0.9, ..ParamsRmsProp::default() })?;
    /// assert_eq!(optimizer.learning_rate(), 1e-3);
    /// # Ok(())
    /// # }
    /// ```
    RmsProp, ParamsRmsProp
}

impl Hyper for ParamsRmsProp {
    const KIND: &'static str = "RMSprop";

    fn state_names(&self) -> &'static [&'static str] {
        match (self.momentum > 0.0, self.centered) {
            (false, false) => &["square_avg"],
            (true, false) => &["square_avg", "momentum_buffer"],
            (false, true) => &["square_avg", "grad_avg"],
            (true, true) => &["square_avg", "momentum_buffer", "grad_avg"],
        }
    }

    fn flaw(&self) -> Option<String> {
        let numbers = [
            ("lr", self.lr),
            ("eps", self.eps),
            ("weight_decay", self.weight_decay),
            ("momentum", self.momentum),
        ];
        not_below_zero(&numbers).or_else(|| not_a_decay(&[("alpha", self.alpha)]))
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn update(&self, _step: u64, theta: &Var, state: &[Var], grad: &Tensor) -> Result<()> {
        // The number of tensors of state is that of `state_names`.
        match (self.momentum > 0.0, self.centered) {
            (false, false) => fused::apply_to::<1>(&RmsPropUpdate(self), theta, state, grad),
            (true, true) => fused::apply_to::<3>(&RmsPropUpdate(self), theta, state, grad),
            _ => fused::apply_to::<2>(&RmsPropUpdate(self), theta, state, grad),
        }
    }

    fn to_group(&self, members: Vec<usize>) -> ParamGroup {
        ParamGroup::new(members)
            .option("lr", self.lr)
            .option("alpha", self.alpha)
            .option("eps", self.eps)
            .option("weight_decay", self.weight_decay)
            .option("momentum", self.momentum)
            .option("centered", self.centered)
            .option("maximize", false)
    }

    fn from_group(group: &ParamGroup) -> std::result::Result<Self, ValueError> {
        hyper::expect_flag(group, "maximize", false)?;
        Ok(Self {
            lr: hyper::number(group, "lr")?,
            alpha: hyper::number(group, "alpha")?,
            eps: hyper::number(group, "eps")?,
            weight_decay: hyper::number(group, "weight_decay")?,
            momentum: hyper::number(group, "momentum")?,
            centered: hyper::flag(group, "centered", false)?,
        })
    }
}
