//! Stochastic gradient descent.

pub(super) mod update;

use candle_core::{Result, Tensor, Var};

use self::update::{MomentumUpdate, PlainUpdate};
use super::base::{Base, Hyper, StateNames, not_below_zero, optimizer_traits};
use super::{Group, fused, hyper};
use crate::state::ParamGroup;
use crate::value::ValueError;

/// The hyper-parameters of [`Sgd`]. A bare learning rate becomes one with `From<f64>`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParamsSgd {
    /// The learning rate.
    pub lr: f64,
    /// The momentum: the factor of the buffer in the next direction; none at 0.
    pub momentum: f64,
    /// True for Nesterov's momentum; needs a momentum.
    pub nesterov: bool,
    /// The weight decay: the factor of the parameter that is added to its gradient.
    pub weight_decay: f64,
}

impl Default for ParamsSgd {
    fn default() -> Self {
        Self {
            lr: 0.001,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
        }
    }
}

impl From<f64> for ParamsSgd {
    fn from(lr: f64) -> Self {
        Self { lr, ..Self::default() }
    }
}

/// Stochastic gradient descent with momentum, Nesterov's momentum and weight decay; takes the place of
/// `candle_nn::SGD`, and can be saved and restored.
///
/// The semantics are PyTorch's: for a gradient `g`, `d = g + weight_decay * theta`, the buffer becomes
/// `momentum * buffer + d` (it begins as zeros), and `theta` goes down by `lr` times the buffer, or with Nesterov's
/// momentum by `lr * (d + momentum * buffer)`. Dampening is not supported.
///
/// ```
/// use candle_core::{DType, Device, Var};
/// use fabric_core::optim::{Optimizer, ParamsSgd, Sgd};
///
/// # fn main() -> candle_core::Result<()> {
/// let vars = vec![Var::zeros(2, DType::F32, &Device::Cpu)?];
/// let plain = Sgd::new(vars.clone(), 0.1)?;
/// let momentum = Sgd::new(vars, ParamsSgd { lr: 0.1, momentum: 0.9, ..ParamsSgd::default() })?;
/// assert_eq!(plain.learning_rate(), momentum.learning_rate());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sgd(Base<ParamsSgd>);

impl Sgd {
    /// An optimizer over these parameters, with a learning rate or with [`ParamsSgd`]. Parameters that are not of a
    /// floating point type are left out, as in candle.
    ///
    /// # Errors
    /// If the hyper-parameters are invalid, or the device has no memory for the buffers.
    pub fn new(vars: Vec<Var>, params: impl Into<ParamsSgd>) -> Result<Self> {
        Self::with_groups([Group::new(vars, params)])
    }

    /// An optimizer over clones of these parameters.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_slice(vars: &[&Var], params: impl Into<ParamsSgd>) -> Result<Self> {
        Self::with_groups([Group::new(vars.iter().map(|&var| var.clone()), params)])
    }

    /// An optimizer over no parameters yet; [`push`](Self::push) adds one.
    ///
    /// # Errors
    /// If the hyper-parameters are invalid.
    pub fn empty(params: impl Into<ParamsSgd>) -> Result<Self> {
        Self::with_groups([Group::new([], params)])
    }

    /// An optimizer over named parameters. A name is used in a checkpoint where no module of the state holds the
    /// parameter.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_named(vars: impl IntoIterator<Item = (String, Var)>, params: impl Into<ParamsSgd>) -> Result<Self> {
        Self::with_groups([Group::named(vars, params)])
    }

    /// An optimizer over several groups of parameters.
    ///
    /// # Errors
    /// If there is no group, a parameter is in two groups, hyper-parameters are invalid, or the device has no memory
    /// for the buffers.
    pub fn with_groups(groups: impl IntoIterator<Item = Group<ParamsSgd>>) -> Result<Self> {
        Base::new(groups).map(Self)
    }

    /// Adds a parameter to the last group, if it is of a floating point type.
    ///
    /// # Errors
    /// If the device has no memory for its buffer.
    pub fn push(&mut self, var: &Var) -> Result<()> {
        self.0.push(var)
    }

    /// The parameters.
    #[must_use]
    pub fn into_inner(self) -> Vec<Var> {
        self.0.into_vars()
    }

    /// The hyper-parameters of the first group, which is the only one unless there are more.
    #[must_use]
    pub fn params(&self) -> &ParamsSgd {
        &self.groups()[0]
    }

    /// Replaces the hyper-parameters of all groups. Parameters whose group gains a momentum begin with a buffer of
    /// zeros; where a group has none any more, buffers are given up.
    ///
    /// # Errors
    /// If the hyper-parameters are invalid, or the device has no memory for the buffers; nothing has changed then.
    pub fn set_params(&mut self, params: impl Into<ParamsSgd>) -> Result<()> {
        let params = params.into();
        self.set_groups(&vec![params; self.groups().len()])
    }

    /// The hyper-parameters of each group.
    #[must_use]
    pub fn groups(&self) -> &[ParamsSgd] {
        self.0.groups()
    }

    /// Replaces the hyper-parameters of each group, as [`set_params`](Self::set_params) does for all.
    ///
    /// # Errors
    /// If there are not as many as groups, or as for [`set_params`](Self::set_params); nothing has changed then.
    pub fn set_groups(&mut self, groups: &[ParamsSgd]) -> Result<()> {
        self.0.set_groups_and_state(groups)
    }
}

optimizer_traits! { Sgd, ParamsSgd }

impl Hyper for ParamsSgd {
    const KIND: &'static str = "Sgd";
    const COUNTS_STEPS: bool = false;

    fn state_names(&self) -> StateNames {
        if self.momentum == 0.0 {
            &[]
        } else {
            &["momentum_buffer"]
        }
    }

    fn flaw(&self) -> Option<String> {
        let needs_momentum = self.nesterov && self.momentum == 0.0;
        not_below_zero(&[("momentum", self.momentum)]).or_else(|| {
            needs_momentum.then(|| "hyper-parameter `nesterov` is true: it needs a momentum above 0".to_owned())
        })
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn update(&self, _step: u64, theta: &Var, state: &[Var], grad: &Tensor) -> Result<()> {
        if self.momentum == 0.0 {
            fused::apply_to(&PlainUpdate(self), theta, state, grad)
        } else {
            fused::apply_to(&MomentumUpdate(self), theta, state, grad)
        }
    }

    fn to_group(&self, members: Vec<usize>) -> ParamGroup {
        ParamGroup::new(members)
            .option("lr", self.lr)
            .option("momentum", self.momentum)
            .option("dampening", 0.0)
            .option("weight_decay", self.weight_decay)
            .option("nesterov", self.nesterov)
            .option("maximize", false)
    }

    fn from_group(group: &ParamGroup) -> std::result::Result<Self, ValueError> {
        hyper::expect_flag(group, "maximize", false)?;
        hyper::expect_zero(group, "dampening")?;
        Ok(Self {
            lr: hyper::number(group, "lr")?,
            momentum: hyper::number(group, "momentum")?,
            nesterov: hyper::flag(group, "nesterov", false)?,
            weight_decay: hyper::number(group, "weight_decay")?,
        })
    }

    /// Momentum comes with a buffer for each parameter, and only with it.
    fn misfit(&self, own: &[&str], _its: &[&str]) -> String {
        let momentum = self.momentum;
        let why = if own.is_empty() {
            "this optimizer has no momentum buffers"
        } else {
            "this optimizer has momentum buffers, which would stay as they are"
        };
        format!(
            "hyper-parameter `momentum` is {momentum}: {why}; construct it with `ParamsSgd {{ momentum: {momentum:?}, .. }}`"
        )
    }
}
