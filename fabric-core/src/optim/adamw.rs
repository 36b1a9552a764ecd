//! Adam with decoupled weight decay.

mod state;
pub(super) mod update;

use candle_core::backprop::GradStore;
use candle_core::{Result, Var};
use candle_nn::{Optimizer, ParamsAdamW};

use self::update::AdamWUpdate;
use super::fused;
use super::group::{Group, disjoint};

/// Adam with decoupled weight decay; takes the place of `candle_nn::AdamW`, and can be saved and restored.
///
/// Every call of [`step`](Optimizer::step) counts for every parameter, with a gradient or without, as in candle. A
/// checkpoint has the count of each parameter, as in PyTorch.
#[derive(Debug)]
pub struct AdamW {
    parameters: Vec<AdamWParameter>,
    /// Never empty.
    groups: Vec<ParamsAdamW>,
}

/// A parameter with its first and second moment.
#[derive(Debug)]
struct AdamWParameter {
    var: Var,
    name: Option<String>,
    group: usize,
    state: [Var; 2],
    step: u64,
}

impl AdamW {
    /// An optimizer over these parameters with the default hyper-parameters, except for the learning rate.
    ///
    /// # Errors
    /// If the device has no memory for the moments.
    pub fn new_lr(vars: Vec<Var>, learning_rate: f64) -> Result<Self> {
        let lr = learning_rate;
        Self::new(
            vars,
            ParamsAdamW {
                lr,
                ..ParamsAdamW::default()
            },
        )
    }

    /// An optimizer over named parameters. A name is used in a checkpoint where no module of the state holds the
    /// parameter.
    ///
    /// # Errors
    /// If the device has no memory for the moments.
    pub fn from_named(vars: impl IntoIterator<Item = (String, Var)>, params: ParamsAdamW) -> Result<Self> {
        Self::over(vec![Group::named(vars, params)])
    }

    /// An optimizer over several groups of parameters.
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
    ///
    /// # Errors
    /// If there is no group, a parameter is in two groups, or the device has no memory for the moments.
    pub fn with_groups(groups: impl IntoIterator<Item = Group<ParamsAdamW>>) -> Result<Self> {
        Self::over(disjoint(groups)?)
    }

    /// Expects at least one group.
    fn over(groups: Vec<Group<ParamsAdamW>>) -> Result<Self> {
        let mut parameters = Vec::new();
        let mut params = Vec::with_capacity(groups.len());
        for (index, group) in groups.into_iter().enumerate() {
            for (name, var) in group.vars {
                parameters.push(AdamWParameter::new(var, name, index)?);
            }
            params.push(group.params);
        }
        Ok(Self {
            parameters,
            groups: params,
        })
    }

    /// The hyper-parameters of the first group, which is the only one unless there are more.
    #[must_use]
    pub fn params(&self) -> &ParamsAdamW {
        &self.groups[0]
    }

    /// Replaces the hyper-parameters of all groups; [`groups_mut`](Self::groups_mut) reaches a single one.
    pub fn set_params(&mut self, params: ParamsAdamW) {
        self.groups.fill(params);
    }

    /// The hyper-parameters of each group.
    #[must_use]
    pub fn groups(&self) -> &[ParamsAdamW] {
        &self.groups
    }

    /// The hyper-parameters of each group, to be changed.
    pub fn groups_mut(&mut self) -> &mut [ParamsAdamW] {
        &mut self.groups
    }
}

impl AdamWParameter {
    fn new(var: Var, name: Option<String>, group: usize) -> Result<Self> {
        let zeros = || Var::zeros(var.shape(), var.dtype(), var.device());
        let state = [zeros()?, zeros()?];
        let step = 0;
        Ok(Self {
            var,
            name,
            group,
            state,
            step,
        })
    }
}

impl Optimizer for AdamW {
    type Config = ParamsAdamW;

    fn new(vars: Vec<Var>, params: ParamsAdamW) -> Result<Self> {
        Self::over(vec![Group::new(vars, params)])
    }

    fn step(&mut self, grads: &GradStore) -> Result<()> {
        for parameter in &mut self.parameters {
            parameter.step = parameter.step.saturating_add(1);
        }
        for parameter in &self.parameters {
            if let Some(grad) = grads.get(&parameter.var) {
                let update = AdamWUpdate::new(&self.groups[parameter.group], parameter.step);
                fused::apply(&update, &parameter.var, &parameter.state, grad)?;
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
