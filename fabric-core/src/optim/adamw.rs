//! Adam with decoupled weight decay.

pub(super) mod update;

use candle_core::{Result, Tensor, Var};
use candle_nn::ParamsAdamW;

use self::update::AdamWUpdate;
use super::base::{Hyper, StateNames, optimizer};
use super::{fused, hyper};
use crate::state::ParamGroup;
use crate::value::ValueError;

const PLAIN: StateNames = &["exp_avg", "exp_avg_sq"];
const AMSGRAD: StateNames = &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

optimizer! {
    /// Adam with decoupled weight decay; takes the place of `candle_nn::AdamW`, and can be saved and restored.
    ///
    /// Every call of [`step`](candle_nn::Optimizer::step) counts for every parameter, with a gradient or without, as in candle. A
    /// checkpoint has the count of each parameter, as in PyTorch.
    ///
    /// ```
    /// use candle_core::{DType, Device, Var};
    /// use fabric_core::optim::{AdamW, Group, ParamsAdamW};
    ///
    /// # fn main() -> candle_core::Result<()> {
    /// let weight = Var::zeros((2, 3), DType::F32, &Device::Cpu)?;
    /// let bias = Var::zeros(2, DType::F32, &Device::Cpu)?;
    /// let decayed = ParamsAdamW { weight_decay: 0.1, ..ParamsAdamW::default() };
    /// let plain = ParamsAdamW { weight_decay: 0.0, ..ParamsAdamW::default() };
    /// let optimizer = AdamW::with_groups([Group::new([weight], decayed), Group::new([bias], plain)])?;
    /// assert_eq!(optimizer.groups().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    AdamW, ParamsAdamW
}

impl AdamW {
    /// With true, every group divides by the largest mean square so far, as PyTorch's `amsgrad=True` ("On the Convergence of Adam
    /// and Beyond", Reddi and others, 2018, algorithm 2): each parameter has a third tensor of state, `max_exp_avg_sq`. With false,
    /// which is the default, the optimizer is candle's.
    ///
    /// A checkpoint has `amsgrad` among the hyper-parameters of each group, and loads into an optimizer with the same choice.
    ///
    /// ```
    /// use candle_core::{DType, Device, Var};
    /// use fabric_core::optim::{AdamW, Optimizer, ParamsAdamW};
    ///
    /// # fn main() -> candle_core::Result<()> {
    /// let weight = Var::zeros(2, DType::F32, &Device::Cpu)?;
    /// let mut optimizer = AdamW::new(vec![weight], ParamsAdamW::default())?.amsgrad(true)?;
    /// optimizer.set_learning_rate(3e-4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the optimizer has taken a step, or the device has no memory for the state.
    pub fn amsgrad(self, amsgrad: bool) -> Result<Self> {
        self.0.with_state(if amsgrad { AMSGRAD } else { PLAIN }).map(Self)
    }

    /// Replaces the hyper-parameters of all groups; [`groups_mut`](Self::groups_mut) reaches a single one.
    pub fn set_params(&mut self, params: ParamsAdamW) {
        self.0.groups_mut().fill(params);
    }

    /// The hyper-parameters of each group, to be changed.
    pub fn groups_mut(&mut self) -> &mut [ParamsAdamW] {
        self.0.groups_mut()
    }
}

impl Hyper for ParamsAdamW {
    const KIND: &'static str = "AdamW";

    fn state_names(&self) -> StateNames {
        PLAIN
    }

    /// None: candle's `AdamW` takes all numbers.
    fn flaw(&self) -> Option<String> {
        None
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn update(&self, step: u64, theta: &Var, state: &[Var], grad: &Tensor) -> Result<()> {
        let update = AdamWUpdate::new(self, step);
        if state.len() == AMSGRAD.len() {
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
    }

    fn from_group(group: &ParamGroup) -> std::result::Result<Self, ValueError> {
        hyper::expect_flag(group, "maximize", false)?;
        let weight_decay = hyper::number(group, "weight_decay")?;
        // PyTorch's Adam and AdamW write the same keys; this one tells them apart. Without decay they are one optimizer.
        if weight_decay != 0.0 {
            hyper::expect_flag(group, "decoupled_weight_decay", true)?;
        }
        let (beta1, beta2) = hyper::betas(group)?;
        Ok(Self {
            lr: hyper::number(group, "lr")?,
            beta1,
            beta2,
            eps: hyper::number(group, "eps")?,
            weight_decay,
        })
    }

    fn with_options_of(state: &[&str], group: ParamGroup) -> ParamGroup {
        group.option("amsgrad", state == AMSGRAD).option("maximize", false)
    }

    fn stored_state_names(&self, group: &ParamGroup) -> std::result::Result<StateNames, ValueError> {
        Ok(if hyper::flag(group, "amsgrad", false)? {
            AMSGRAD
        } else {
            PLAIN
        })
    }

    fn misfit(&self, own: &[&str], its: &[&str]) -> String {
        let amsgrad = its == AMSGRAD;
        format!(
            "hyper-parameter `amsgrad` is {amsgrad} and comes with the state {its:?} of each parameter, and this optimizer has {own:?}: call \
             `AdamW::amsgrad({amsgrad})` before the first step"
        )
    }
}
