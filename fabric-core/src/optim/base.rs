//! The common half of optimizers: parameters in groups, each with its state and its count of steps.

mod public;
mod state;

use std::fmt::Debug;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};

pub(super) use self::public::{optimizer, optimizer_traits};
use super::group::{Group, disjoint};
use crate::state::ParamGroup;
use crate::value::ValueError;

/// The hyper-parameters of a group, which say what state a parameter has and how a step changes it.
pub(super) trait Hyper: Clone + Debug + Send + Sync + 'static {
    /// The name of the optimizer in a checkpoint; PyTorch's name, where PyTorch has the optimizer.
    const KIND: &'static str;

    /// True if a checkpoint has the number of steps of each parameter.
    const COUNTS_STEPS: bool = true;

    /// The names of the tensors that a parameter has as state, as PyTorch names them. They begin as zeros.
    fn state_names(&self) -> StateNames;

    /// The first hyper-parameter that is invalid, as a sentence.
    fn flaw(&self) -> Option<String>;

    fn lr(&self) -> f64;

    fn set_lr(&mut self, lr: f64);

    /// Changes a parameter and its state, which has a tensor for each name. Steps are counted from 1.
    ///
    /// # Errors
    /// If the gradient has another shape, type or device than the parameter, or the device fails.
    fn update(&self, step: u64, theta: &Var, state: &[Var], grad: &Tensor) -> Result<()>;

    fn to_group(&self, members: Vec<usize>) -> ParamGroup;

    /// # Errors
    /// If a hyper-parameter is missing, has no meaning, or asks for something that the optimizer does not do.
    fn from_group(group: &ParamGroup) -> std::result::Result<Self, ValueError>;

    /// Adds the options that follow from the names of the state, where the hyper-parameters alone do not decide them.
    fn with_options_of(_state: &[&str], group: ParamGroup) -> ParamGroup {
        group
    }

    /// The names of the state that a group of a file comes with.
    ///
    /// # Errors
    /// If an option has the wrong type.
    fn stored_state_names(&self, _group: &ParamGroup) -> std::result::Result<StateNames, ValueError> {
        Ok(self.state_names())
    }

    /// The sentence for hyper-parameters of a file that come with the state `its`, where the parameters have `own`.
    fn misfit(&self, own: &[&str], its: &[&str]) -> String {
        format!(
            "its hyper-parameters come with the state {its:?} of each parameter, and this optimizer has {own:?}: construct it with the \
             hyper-parameters {self:?}"
        )
    }
}

/// The names of the tensors that a parameter has as state.
pub(super) type StateNames = &'static [&'static str];

/// Parameters with their state, and the hyper-parameters of each group.
#[derive(Debug)]
pub(super) struct Base<H> {
    parameters: Vec<Parameter>,
    /// Never empty.
    groups: Vec<H>,
    /// The names of the state of each group's parameters.
    state_names: Vec<StateNames>,
}

#[derive(Debug)]
struct Parameter {
    var: Var,
    name: Option<String>,
    group: usize,
    state: Vec<Var>,
    step: u64,
}

impl<H: Hyper> Base<H> {
    /// # Errors
    /// If there is no group, a parameter is in two groups, hyper-parameters are invalid, or the device has no memory for the
    /// state.
    pub(super) fn new(groups: impl IntoIterator<Item = Group<H>>) -> Result<Self> {
        let (mut parameters, mut hyper, mut state_names) = (Vec::new(), Vec::new(), Vec::new());
        for (index, group) in disjoint(groups)?.into_iter().enumerate() {
            if let Some(flaw) = group.params.flaw() {
                bail!("{flaw}");
            }
            let names = group.params.state_names();
            for (name, var) in group.vars {
                parameters.push(Parameter::new(var, name, index, names)?);
            }
            hyper.push(group.params);
            state_names.push(names);
        }
        Ok(Self {
            parameters,
            groups: hyper,
            state_names,
        })
    }

    /// Gives the parameters of all groups the state with these names.
    ///
    /// # Errors
    /// If a parameter has taken a step, whose state would be lost, or the device has no memory for the state.
    pub(super) fn with_state(mut self, names: StateNames) -> Result<Self> {
        for parameter in &mut self.parameters {
            if parameter.step > 0 {
                bail!(
                    "the optimizer has taken {} steps: choose the state {names:?} before the first one",
                    parameter.step
                );
            }
            parameter.state = zeros(names, &parameter.var)?;
        }
        self.state_names.fill(names);
        Ok(self)
    }

    pub(super) fn groups(&self) -> &[H] {
        &self.groups
    }

    /// The hyper-parameters of each group, to be changed; what state the parameters have must not depend on the change.
    pub(super) fn groups_mut(&mut self) -> &mut [H] {
        &mut self.groups
    }

    /// Replaces the hyper-parameters of each group.
    ///
    /// # Errors
    /// If there are not as many as groups, one is invalid, or one needs other state than the parameters have; nothing has changed
    /// then.
    pub(super) fn set_groups(&mut self, groups: &[H]) -> Result<()> {
        self.expect_valid(groups)?;
        for (present, new) in self.groups.iter().zip(groups) {
            if present.state_names() != new.state_names() {
                bail!(
                    "the parameters have the state {:?}, and these hyper-parameters need {:?}: construct a new optimizer",
                    present.state_names(),
                    new.state_names()
                );
            }
        }
        self.groups = groups.to_vec();
        Ok(())
    }

    /// Replaces the hyper-parameters of each group. State that they need in addition begins as zeros, and state that they need no
    /// more is given up.
    ///
    /// # Errors
    /// If there are not as many as groups, one is invalid, or the device has no memory for the state; nothing has changed then.
    pub(super) fn set_groups_and_state(&mut self, groups: &[H]) -> Result<()> {
        self.expect_valid(groups)?;
        let names: Vec<_> = groups.iter().map(H::state_names).collect();
        let states = self.parameters.iter().map(|parameter| {
            let group = parameter.group;
            parameter.state_under(self.state_names[group], names[group])
        });
        let states = states.collect::<Result<Vec<_>>>()?;
        for (parameter, state) in self.parameters.iter_mut().zip(states) {
            parameter.state = state;
        }
        (self.groups, self.state_names) = (groups.to_vec(), names);
        Ok(())
    }

    fn expect_valid(&self, groups: &[H]) -> Result<()> {
        if groups.len() != self.groups.len() {
            bail!(
                "expected hyper-parameters for {} groups, found {}",
                self.groups.len(),
                groups.len()
            );
        }
        match groups.iter().find_map(H::flaw) {
            Some(flaw) => bail!("{flaw}"),
            None => Ok(()),
        }
    }

    /// Adds a parameter to the last group, if it is of a floating point type.
    ///
    /// # Errors
    /// If the device has no memory for the state.
    pub(super) fn push(&mut self, var: &Var) -> Result<()> {
        let group = self.groups.len() - 1;
        if var.dtype().is_float() {
            let parameter = Parameter::new(var.clone(), None, group, self.state_names[group])?;
            self.parameters.push(parameter);
        }
        Ok(())
    }

    pub(super) fn into_vars(self) -> Vec<Var> {
        self.parameters.into_iter().map(|parameter| parameter.var).collect()
    }

    /// A step, which counts for every parameter, with a gradient or without.
    ///
    /// # Errors
    /// As [`Hyper::update`].
    pub(super) fn step(&mut self, grads: &GradStore) -> Result<()> {
        for parameter in &mut self.parameters {
            parameter.step = parameter.step.saturating_add(1);
        }
        for parameter in &self.parameters {
            if let Some(grad) = grads.get(&parameter.var) {
                self.groups[parameter.group].update(parameter.step, &parameter.var, &parameter.state, grad)?;
            }
        }
        Ok(())
    }

    pub(super) fn learning_rate(&self) -> f64 {
        self.groups[0].lr()
    }

    pub(super) fn set_learning_rate(&mut self, lr: f64) {
        for group in &mut self.groups {
            group.set_lr(lr);
        }
    }
}

impl Parameter {
    fn new(var: Var, name: Option<String>, group: usize, names: StateNames) -> Result<Self> {
        Ok(Self {
            state: zeros(names, &var)?,
            var,
            name,
            group,
            step: 0,
        })
    }

    /// The state with the names `new`: the tensor that has the name now, or zeros.
    fn state_under(&self, now: StateNames, new: StateNames) -> Result<Vec<Var>> {
        let present = |name| {
            now.iter()
                .position(|other| *other == name)
                .map(|at| self.state[at].clone())
        };
        let state = new
            .iter()
            .map(|&name| present(name).map_or_else(|| zero(&self.var), Ok));
        state.collect()
    }
}

/// The state of a parameter before the first step: zeros for each name.
fn zeros(names: StateNames, var: &Var) -> Result<Vec<Var>> {
    names.iter().map(|_| zero(var)).collect()
}

fn zero(var: &Var) -> Result<Var> {
    Var::zeros(var.shape(), var.dtype(), var.device())
}

/// The first of these hyper-parameters that is not finite, or below 0, as a sentence.
pub(super) fn not_below_zero(named: &[(&str, f64)]) -> Option<String> {
    let (name, value) = named.iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0))?;
    Some(format!(
        "hyper-parameter `{name}` is {value}: it must be finite and not negative"
    ))
}

/// The first of these decay rates that is not in [0, 1), as a sentence.
pub(super) fn not_a_decay(named: &[(&str, f64)]) -> Option<String> {
    let (name, value) = named.iter().find(|(_, value)| !(0.0..1.0).contains(value))?;
    Some(format!(
        "hyper-parameter `{name}` is {value}: it must be at least 0 and below 1"
    ))
}
