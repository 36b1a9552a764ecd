//! Adam with weight decay in the gradient.

mod update;

use candle_core::{Result, Tensor, Var};

use self::update::AdamUpdate;
use super::base::{Hyper, not_a_decay, not_below_zero, optimizer};
use super::{fused, hyper};
use crate::state::ParamGroup;
use crate::value::ValueError;

/// The hyper-parameters of [`Adam`], with PyTorch's defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParamsAdam {
    /// The learning rate.
    pub lr: f64,
    /// The part of the old mean in the new one.
    pub beta1: f64,
    /// The part of the old mean square in the new one.
    pub beta2: f64,
    /// Added to the root before it divides.
    pub eps: f64,
    /// The weight decay: the factor of the parameter that is added to its gradient, or, if it is decoupled, the rate by which the
    /// parameter shrinks.
    pub weight_decay: f64,
    /// True for the weight decay of `AdamW`, which does not pass through the moments.
    pub decoupled: bool,
    /// True to divide by the largest mean square so far ("On the Convergence of Adam and Beyond", Reddi and others, 2018).
    pub amsgrad: bool,
}

impl Default for ParamsAdam {
    fn default() -> Self {
        Self {
            lr: 0.001,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
            amsgrad: false,
        }
    }
}

optimizer! {
    /// Adam ("Adam: A Method for Stochastic Optimization", Kingma and Ba, 2015, algorithm 1), as `torch.optim.Adam` computes it, and
    /// `torch.optim.AdamW` with [`decoupled`](ParamsAdam::decoupled); both with or without [`amsgrad`](ParamsAdam::amsgrad).
    ///
    /// [`AdamW`](super::AdamW) is candle's `AdamW` bit for bit; this optimizer follows PyTorch in the order of operations.
    ///
    /// ```
    /// use candle_core::{DType, Device, Var};
    /// use fabric_core::optim::{Adam, Optimizer, ParamsAdam};
    ///
    /// # fn main() -> candle_core::Result<()> {
    /// let weight = Var::zeros(2, DType::F32, &Device::Cpu)?;
    /// let params = ParamsAdam { weight_decay: 0.01, decoupled: true, amsgrad: true, ..ParamsAdam::default() };
    /// let optimizer = Adam::new(vec![weight], params)?;
    /// assert_eq!(optimizer.learning_rate(), 1e-3);
    /// # Ok(())
    /// # }
    /// ```
    Adam, ParamsAdam
}

impl Hyper for ParamsAdam {
    const KIND: &'static str = "Adam";

    fn state_names(&self) -> &'static [&'static str] {
        if self.amsgrad {
            &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
        } else {
            &["exp_avg", "exp_avg_sq"]
        }
    }

    fn flaw(&self) -> Option<String> {
        not_below_zero(&[("lr", self.lr), ("eps", self.eps), ("weight_decay", self.weight_decay)])
            .or_else(|| not_a_decay(&[("beta1", self.beta1), ("beta2", self.beta2)]))
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn update(&self, step: u64, theta: &Var, state: &[Var], grad: &Tensor) -> Result<()> {
        let update = AdamUpdate::new(self, step);
        if self.amsgrad {
            fused::apply_to::<3>(&update, theta, state, grad)
        } else {
            fused::apply_to::<2>(&update, theta, state, grad)
        }
    }

    fn to_group(&self, members: Vec<usize>) -> ParamGroup {
        ParamGroup::new(members)
            .option("lr", self.lr)
            .option("betas", [self.beta1, self.beta2])
            .option("eps", self.eps)
            .option("weight_decay", self.weight_decay)
            .option("decoupled_weight_decay", self.decoupled)
            .option("amsgrad", self.amsgrad)
            .option("maximize", false)
    }

    fn from_group(group: &ParamGroup) -> std::result::Result<Self, ValueError> {
        hyper::expect_flag(group, "maximize", false)?;
        let (beta1, beta2) = hyper::betas(group)?;
        Ok(Self {
            lr: hyper::number(group, "lr")?,
            beta1,
            beta2,
            eps: hyper::number(group, "eps")?,
            weight_decay: hyper::number(group, "weight_decay")?,
            // Releases of PyTorch before 2.6 write no flag, and their AdamW writes what their Adam writes.
            decoupled: hyper::flag(group, "decoupled_weight_decay", false)?,
            amsgrad: hyper::flag(group, "amsgrad", false)?,
        })
    }
}
