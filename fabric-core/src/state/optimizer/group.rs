//! Parameters that share hyper-parameters, as a checkpoint has them.

use crate::value::{Value, ValueError};

/// The key of a group's parameters, beside its options.
pub(crate) const PARAMS: &str = "params";

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
