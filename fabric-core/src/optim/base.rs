//! The common half of optimizers: parameters in groups, each with its state and its count of steps.

mod state;

use std::fmt::Debug;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};

use super::group::{Group, disjoint};
use crate::state::ParamGroup;
use crate::value::ValueError;

/// The hyper-parameters of a group, which say what state a parameter has and how a step changes it.
pub(super) trait Hyper: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The name of the optimizer in a checkpoint; PyTorch's name, where PyTorch has the optimizer.
    const KIND: &'static str;

    /// The names of the tensors that a parameter has as state, as PyTorch names them. They begin as zeros.
    fn state_names(&self) -> &'static [&'static str];

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
}

/// Parameters with their state, and the hyper-parameters of each group.
#[derive(Debug)]
pub(super) struct Base<H> {
    parameters: Vec<Parameter>,
    /// Never empty.
    groups: Vec<H>,
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
        let (mut parameters, mut hyper) = (Vec::new(), Vec::new());
        for (index, group) in disjoint(groups)?.into_iter().enumerate() {
            if let Some(flaw) = group.params.flaw() {
                bail!("{flaw}");
            }
            for (name, var) in group.vars {
                let zeros = |_: &&str| Var::zeros(var.shape(), var.dtype(), var.device());
                let state = group
                    .params
                    .state_names()
                    .iter()
                    .map(zeros)
                    .collect::<Result<Vec<_>>>()?;
                parameters.push(Parameter {
                    var,
                    name,
                    group: index,
                    state,
                    step: 0,
                });
            }
            hyper.push(group.params);
        }
        Ok(Self {
            parameters,
            groups: hyper,
        })
    }

    pub(super) fn groups(&self) -> &[H] {
        &self.groups
    }

    /// Replaces the hyper-parameters of each group.
    ///
    /// # Errors
    /// If there are not as many as groups, one is invalid, or one needs other state than the parameters have; nothing has changed
    /// then.
    pub(super) fn set_groups(&mut self, groups: &[H]) -> Result<()> {
        if groups.len() != self.groups.len() {
            bail!(
                "expected hyper-parameters for {} groups, found {}",
                self.groups.len(),
                groups.len()
            );
        }
        for (present, new) in self.groups.iter().zip(groups) {
            if let Some(flaw) = new.flaw() {
                bail!("{flaw}");
            }
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

/// The public type of an optimizer over [`Base`].
macro_rules! optimizer {
    ($(#[$docs:meta])* $name:ident, $params:ident) => {
        $(#[$docs])*
        #[derive(Debug)]
        pub struct $name($crate::optim::base::Base<$params>);

        impl $name {
            /// An optimizer over these parameters with the default hyper-parameters, except for the learning rate.
            ///
            /// # Errors
            /// If the device has no memory for the state.
            pub fn new_lr(vars: Vec<candle_core::Var>, lr: f64) -> candle_core::Result<Self> {
                candle_nn::Optimizer::new(vars, $params { lr, ..$params::default() })
            }

            /// An optimizer over named parameters. A name is used in a checkpoint where no module of the state holds the
            /// parameter.
            ///
            /// # Errors
            /// If the hyper-parameters are invalid, or the device has no memory for the state.
            pub fn from_named(
                vars: impl IntoIterator<Item = (String, candle_core::Var)>,
                params: $params,
            ) -> candle_core::Result<Self> {
                Self::with_groups([$crate::optim::Group::named(vars, params)])
            }

            /// An optimizer over several groups of parameters.
            ///
            /// # Errors
            /// If there is no group, a parameter is in two groups, hyper-parameters are invalid, or the device has no memory
            /// for the state.
            pub fn with_groups(
                groups: impl IntoIterator<Item = $crate::optim::Group<$params>>,
            ) -> candle_core::Result<Self> {
                $crate::optim::base::Base::new(groups).map(Self)
            }

            /// The hyper-parameters of the first group, which is the only one unless there are more.
            #[must_use]
            pub fn params(&self) -> &$params {
                &self.0.groups()[0]
            }

            /// The hyper-parameters of each group.
            #[must_use]
            pub fn groups(&self) -> &[$params] {
                self.0.groups()
            }

            /// Replaces the hyper-parameters of each group.
            ///
            /// # Errors
            /// If there are not as many as groups, one is invalid, or one needs other state than its parameters have; nothing has
            /// changed then.
            pub fn set_groups(&mut self, groups: &[$params]) -> candle_core::Result<()> {
                self.0.set_groups(groups)
            }
        }

        impl candle_nn::Optimizer for $name {
            type Config = $params;

            fn new(vars: Vec<candle_core::Var>, params: $params) -> candle_core::Result<Self> {
                Self::with_groups([$crate::optim::Group::new(vars, params)])
            }

            fn step(&mut self, grads: &candle_core::backprop::GradStore) -> candle_core::Result<()> {
                self.0.step(grads)
            }

            /// The learning rate of the first group.
            fn learning_rate(&self) -> f64 {
                self.0.learning_rate()
            }

            /// Sets the learning rate of all groups.
            fn set_learning_rate(&mut self, lr: f64) {
                self.0.set_learning_rate(lr);
            }
        }

        impl $crate::state::OptimizerState for $name {
            fn describe(&self) -> $crate::state::OptimizerDescription {
                self.0.describe()
            }

            fn check(&self, groups: &[$crate::state::ParamGroup]) -> std::result::Result<(), $crate::value::ValueError> {
                self.0.check(groups)
            }

            fn restore(&mut self, groups: Option<&[$crate::state::ParamGroup]>, steps: &[Option<u64>]) {
                self.0.restore(groups, steps);
            }
        }

        #[diagnostic::do_not_recommend]
        impl $crate::state::Checkpoint for $name {
            const KEYS: $crate::state::Keys = $crate::state::Keys::OPTIMIZER;

            fn may_differ(_: &mut $crate::state::Types) -> bool {
                false
            }

            fn visit<'a>(&'a self, entries: &mut $crate::state::Visitor<'a>) {
                entries.optimizer("", self);
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut $crate::state::VisitorMut<'a>) {
                entries.optimizer("", self);
            }
        }
    };
}

pub(super) use optimizer;

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
