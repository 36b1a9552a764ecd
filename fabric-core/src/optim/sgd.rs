//! Stochastic gradient descent.

mod state;
pub(super) mod update;

use candle_core::backprop::GradStore;
use candle_core::{Result, Var, bail};
use candle_nn::Optimizer;

use self::update::{MomentumUpdate, PlainUpdate};
use super::fused;
use super::group::{Group, disjoint};

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

impl ParamsSgd {
    /// Checks the hyper-parameters; the error names the first invalid one.
    fn verdict(&self) -> Option<String> {
        let momentum = self.momentum;
        if !(momentum.is_finite() && momentum >= 0.0) {
            Some(format!(
                "hyper-parameter `momentum` is {momentum}: it must be finite and not negative"
            ))
        } else if self.nesterov && momentum == 0.0 {
            Some("hyper-parameter `nesterov` is true: it needs a momentum above 0".to_owned())
        } else {
            None
        }
    }

    fn valid(self) -> Result<Self> {
        match self.verdict() {
            Some(flaw) => bail!("{flaw}"),
            None => Ok(self),
        }
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
pub struct Sgd {
    parameters: Vec<SgdParameter>,
    /// Never empty.
    groups: Vec<ParamsSgd>,
}

/// A parameter with its buffer, if its group has a momentum.
#[derive(Debug)]
struct SgdParameter {
    var: Var,
    name: Option<String>,
    group: usize,
    buffer: Option<[Var; 1]>,
}

impl Sgd {
    /// An optimizer over these parameters, with a learning rate or with [`ParamsSgd`]. Parameters that are not of a
    /// floating point type are left out, as in candle.
    ///
    /// # Errors
    /// If the hyper-parameters are invalid, or the device has no memory for the buffers.
    pub fn new(vars: Vec<Var>, params: impl Into<ParamsSgd>) -> Result<Self> {
        Self::over(vec![Group::new(vars, params)])
    }

    /// An optimizer over clones of these parameters.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_slice(vars: &[&Var], params: impl Into<ParamsSgd>) -> Result<Self> {
        Self::over(vec![Group::new(vars.iter().map(|&var| var.clone()), params)])
    }

    /// An optimizer over no parameters yet; [`push`](Self::push) adds one.
    ///
    /// # Errors
    /// If the hyper-parameters are invalid.
    pub fn empty(params: impl Into<ParamsSgd>) -> Result<Self> {
        Self::over(vec![Group::new([], params)])
    }

    /// An optimizer over named parameters. A name is used in a checkpoint where no module of the state holds the
    /// parameter.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_named(vars: impl IntoIterator<Item = (String, Var)>, params: impl Into<ParamsSgd>) -> Result<Self> {
        Self::over(vec![Group::named(vars, params)])
    }

    /// An optimizer over several groups of parameters.
    ///
    /// # Errors
    /// If there is no group, a parameter is in two groups, hyper-parameters are invalid, or the device has no memory
    /// for the buffers.
    pub fn with_groups(groups: impl IntoIterator<Item = Group<ParamsSgd>>) -> Result<Self> {
        Self::over(disjoint(groups)?)
    }

    /// Expects at least one group.
    fn over(groups: Vec<Group<ParamsSgd>>) -> Result<Self> {
        let mut parameters = Vec::new();
        let mut params = Vec::with_capacity(groups.len());
        for (index, group) in groups.into_iter().enumerate() {
            let valid = group.params.valid()?;
            for (name, var) in group.vars {
                parameters.push(SgdParameter::new(var, name, index, valid)?);
            }
            params.push(valid);
        }
        Ok(Self {
            parameters,
            groups: params,
        })
    }

    /// Adds a parameter to the last group, if it is of a floating point type.
    ///
    /// # Errors
    /// If the device has no memory for its buffer.
    pub fn push(&mut self, var: &Var) -> Result<()> {
        let group = self.groups.len() - 1;
        if var.dtype().is_float() {
            self.parameters
                .push(SgdParameter::new(var.clone(), None, group, self.groups[group])?);
        }
        Ok(())
    }

    /// The parameters.
    #[must_use]
    pub fn into_inner(self) -> Vec<Var> {
        self.parameters.into_iter().map(|parameter| parameter.var).collect()
    }

    /// The hyper-parameters of the first group, which is the only one unless there are more.
    #[must_use]
    pub fn params(&self) -> &ParamsSgd {
        &self.groups[0]
    }

    /// Replaces the hyper-parameters of all groups. Parameters whose group gains a momentum begin with a buffer of
    /// zeros; where a group has none any more, buffers are given up.
    ///
    /// # Errors
    /// If the hyper-parameters are invalid, or the device has no memory for the buffers; nothing has changed then.
    pub fn set_params(&mut self, params: impl Into<ParamsSgd>) -> Result<()> {
        let params = params.into();
        self.set_groups(&vec![params; self.groups.len()])
    }

    /// The hyper-parameters of each group.
    #[must_use]
    pub fn groups(&self) -> &[ParamsSgd] {
        &self.groups
    }

    /// Replaces the hyper-parameters of each group, as [`set_params`](Self::set_params) does for all.
    ///
    /// # Errors
    /// If there are not as many as groups, or as for [`set_params`](Self::set_params); nothing has changed then.
    pub fn set_groups(&mut self, groups: &[ParamsSgd]) -> Result<()> {
        if groups.len() != self.groups.len() {
            bail!(
                "expected hyper-parameters for {} groups, found {}",
                self.groups.len(),
                groups.len()
            );
        }
        let valid = groups.iter().map(|params| params.valid()).collect::<Result<Vec<_>>>()?;
        let buffers = self
            .parameters
            .iter()
            .map(|parameter| parameter.buffer_for(valid[parameter.group]));
        let buffers = buffers.collect::<Result<Vec<_>>>()?;
        for (parameter, buffer) in self.parameters.iter_mut().zip(buffers) {
            parameter.buffer = buffer;
        }
        self.groups = valid;
        Ok(())
    }
}

impl SgdParameter {
    fn new(var: Var, name: Option<String>, group: usize, params: ParamsSgd) -> Result<Self> {
        let buffer = None;
        let parameter = Self {
            var,
            name,
            group,
            buffer,
        };
        let buffer = parameter.buffer_for(params)?;
        Ok(Self { buffer, ..parameter })
    }

    /// The buffer that these hyper-parameters need: the present one if there is one.
    fn buffer_for(&self, params: ParamsSgd) -> Result<Option<[Var; 1]>> {
        if params.momentum == 0.0 {
            return Ok(None);
        }
        match &self.buffer {
            Some(buffer) => Ok(Some(buffer.clone())),
            None => Ok(Some([Var::zeros(
                self.var.shape(),
                self.var.dtype(),
                self.var.device(),
            )?])),
        }
    }
}

impl Optimizer for Sgd {
    type Config = ParamsSgd;

    fn new(vars: Vec<Var>, params: ParamsSgd) -> Result<Self> {
        Self::new(vars, params)
    }

    fn step(&mut self, grads: &GradStore) -> Result<()> {
        for parameter in &self.parameters {
            let Some(grad) = grads.get(&parameter.var) else {
                continue;
            };
            let params = &self.groups[parameter.group];
            match &parameter.buffer {
                Some(buffer) => fused::apply(&MomentumUpdate(params), &parameter.var, buffer, grad)?,
                None => fused::apply(&PlainUpdate(params), &parameter.var, &[], grad)?,
            }
        }
        Ok(())
    }

    /// The learning rate of the first group.
    fn learning_rate(&self) -> f64 {
        self.params().lr
    }

    /// Sets the learning rate of all groups.
    fn set_learning_rate(&mut self, lr: f64) {
        for params in &mut self.groups {
            params.lr = lr;
        }
    }
}
