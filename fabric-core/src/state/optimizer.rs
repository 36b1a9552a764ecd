//! The interface between an optimizer and a checkpoint.

use candle_core::{Tensor, Var};

use crate::value::{Value, ValueError};

/// The key of a group's parameters, beside its options.
pub(crate) const PARAMS: &str = "params";

/// An optimizer whose state can be saved and restored: [`AdamW`](crate::optim::AdamW), [`Sgd`](crate::optim::Sgd), or
/// your own.
///
/// A file stores state under the *name* of each parameter. The library finds the name by looking for the parameter's
/// memory among the modules of the state, so the order of an optimizer's parameters does not matter. For an optimizer
/// of your own, implement this trait and hand the optimizer to the visitor:
///
/// ```
/// use candle_core::{Tensor, Var};
/// use fabric_core::{
///     Checkpoint, OptimizerDescription, OptimizerState, ParamGroup, ParamState, Value, ValueError, Visitor, VisitorMut,
/// };
///
/// struct SignSgd { vars: Vec<Var>, lr: f64, last: Vec<Tensor> }
///
/// impl OptimizerState for SignSgd {
///     fn describe(&self) -> OptimizerDescription {
///         let parameters = self.vars.iter().zip(&self.last).map(|(var, last)| {
///             ParamState::new(var.clone()).tensor("last_sign", last)
///         });
///         OptimizerDescription::new("SignSgd", parameters.collect())
///             .group(ParamGroup::new((0..self.vars.len()).collect()).option("lr", self.lr))
///     }
///     fn check(&self, groups: &[ParamGroup]) -> Result<(), ValueError> {
///         groups.iter().try_for_each(|group| group.get::<f64>("lr").map(drop))
///     }
///     fn restore(&mut self, groups: Option<&[ParamGroup]>, _steps: &[Option<u64>]) {
///         if let Some(lr) = groups.and_then(|groups| groups.first()?.get("lr").ok()) {
///             self.lr = lr;
///         }
///     }
/// }
///
/// impl Checkpoint for SignSgd {
///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) { entries.optimizer("", self) }
///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) { entries.optimizer("", self) }
/// }
/// ```
pub trait OptimizerState {
    /// The kind of the optimizer, its parameters with their state tensors, and its hyper-parameters.
    fn describe(&self) -> OptimizerDescription;

    /// Checks that the hyper-parameters of a file fit this optimizer. A load calls it before it changes anything, with
    /// as many groups as [`describe`](Self::describe) returned.
    ///
    /// # Errors
    /// If a hyper-parameter is missing, has the wrong type, or asks for state that this optimizer does not keep.
    fn check(&self, groups: &[ParamGroup]) -> Result<(), ValueError>;

    /// Takes over the hyper-parameters, which passed [`check`](Self::check), and the step counts, one for each
    /// parameter. `groups` or a step count is `None` if the file had none. The load has already written the state
    /// tensors in place. A parameter whose state begins anew has zeros in its state tensors, and the step count 0.
    fn restore(&mut self, groups: Option<&[ParamGroup]>, steps: &[Option<u64>]);
}

/// The contents of an optimizer for a checkpoint.
#[derive(Clone, Debug)]
pub struct OptimizerDescription {
    pub(crate) kind: &'static str,
    pub(crate) parameters: Vec<ParamState>,
    pub(crate) groups: Vec<ParamGroup>,
}

impl OptimizerDescription {
    /// Describes an optimizer of this kind over these parameters, in the order in which the optimizer got them. Its
    /// state loads only into an optimizer of the same kind.
    #[must_use]
    pub fn new(kind: &'static str, parameters: Vec<ParamState>) -> Self {
        Self {
            kind,
            parameters,
            groups: Vec::new(),
        }
    }

    /// Adds a group of parameters that share hyper-parameters.
    #[must_use]
    pub fn group(mut self, group: ParamGroup) -> Self {
        self.groups.push(group);
        self
    }
}

/// One parameter and its optimizer state.
#[derive(Clone, Debug)]
pub struct ParamState {
    pub(crate) var: Var,
    pub(crate) name: Option<String>,
    pub(crate) tensors: Vec<(&'static str, Tensor)>,
    pub(crate) step: Option<u64>,
}

impl ParamState {
    /// A parameter without optimizer state.
    #[must_use]
    pub fn new(var: Var) -> Self {
        Self {
            var,
            name: None,
            tensors: Vec::new(),
            step: None,
        }
    }

    /// Sets the name for a parameter that no module of the state holds.
    #[must_use]
    pub fn named(mut self, name: Option<String>) -> Self {
        self.name = name;
        self
    }

    /// Adds a state tensor under PyTorch's name for it, such as `"exp_avg"`. A load writes the tensor in place.
    #[must_use]
    pub fn tensor(mut self, name: &'static str, tensor: &Tensor) -> Self {
        self.tensors.push((name, tensor.clone()));
        self
    }

    /// Sets the number of steps that the optimizer has taken for this parameter.
    #[must_use]
    pub fn step(mut self, step: u64) -> Self {
        self.step = Some(step);
        self
    }
}

/// Parameters that share hyper-parameters.
#[derive(Clone, Debug)]
pub struct ParamGroup {
    /// Indices into the optimizer's list of parameters.
    pub(crate) parameters: Vec<usize>,
    pub(crate) options: Vec<(String, Value)>,
    /// The error of an option that no file can hold; a save returns it.
    refused: Option<String>,
}

impl ParamGroup {
    /// A group of the parameters at these indices of the optimizer's list.
    #[must_use]
    pub fn new(parameters: Vec<usize>) -> Self {
        Self {
            parameters,
            options: Vec::new(),
            refused: None,
        }
    }

    /// A group from a file.
    pub(crate) fn stored(parameters: Vec<usize>, options: Vec<(String, Value)>) -> Self {
        Self {
            parameters,
            options,
            refused: None,
        }
    }

    /// Adds a hyper-parameter under PyTorch's name for it, such as `"lr"`.
    ///
    /// A save refuses a value that serde cannot represent, a repeated name, and the name `params`, which the file uses
    /// for the group's parameters.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl serde::Serialize) -> Self {
        let value = Value::of(&value);
        if name == PARAMS {
            self.refuse(
                name,
                "has the name under which the file has the group's parameters; rename it",
            );
        } else if self.options.iter().any(|(other, _)| other == name) {
            self.refuse(name, "is given twice");
        } else {
            match value {
                Ok(value) => self.options.push((name.to_owned(), value)),
                Err(error) => self.refuse(name, &error.to_string()),
            }
        }
        self
    }

    fn refuse(&mut self, name: &str, what: &str) {
        self.refused
            .get_or_insert_with(|| format!("has a hyper-parameter `{name}` that {what}"));
    }

    /// The error of the first option that no file can hold.
    pub(crate) fn refused(&self) -> Option<String> {
        self.refused.clone()
    }

    /// The indices of the group's parameters in the optimizer's list.
    #[must_use]
    pub fn parameters(&self) -> &[usize] {
        &self.parameters
    }

    pub(crate) fn option_names(&self) -> impl Iterator<Item = &str> {
        self.options.iter().map(|(name, _)| name.as_str())
    }

    /// The hyper-parameter `name`.
    ///
    /// # Errors
    /// If the group has no such hyper-parameter, or it has another type.
    pub fn get<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, ValueError> {
        let (_, value) = self
            .options
            .iter()
            .find(|(key, _)| key == name)
            .ok_or_else(|| ValueError::new(format!("has no hyper-parameter `{name}`")))?;
        value
            .decode()
            .map_err(|error| ValueError::new(format!("hyper-parameter `{name}`: {error}")))
    }
}
