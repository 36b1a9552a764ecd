//! A part of a state, as the options of a call name it.

use std::fmt;

use super::super::Schema;
use super::Field;
use crate::entry::shown;

/// A part of a state: a field, by its handle or by its name, or an entry, by its name.
///
/// Options such as [`LoadOptions::only`](crate::LoadOptions::only) take anything that converts into a part: a handle, whose
/// name the compiler checks, or a text such as `"model.fc1"`. The call that uses the options checks a text: a name that the
/// state does not have is [`StateError::NoSuchComponent`](crate::StateError::NoSuchComponent), which lists the names there
/// are.
#[derive(Clone, PartialEq)]
pub struct Part {
    /// The state that a handle belongs to; `None` for a text.
    pub(crate) of: Option<Schema>,
    /// The name that all entries of the part begin with.
    pub(crate) name: String,
}

impl<S: ?Sized, T: ?Sized> From<Field<S, T>> for Part {
    fn from(field: Field<S, T>) -> Self {
        Self {
            of: Some(field.schema),
            name: field.name(),
        }
    }
}

impl From<String> for Part {
    fn from(name: String) -> Self {
        Self { of: None, name }
    }
}

impl From<&String> for Part {
    fn from(name: &String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<&str> for Part {
    fn from(name: &str) -> Self {
        Self::from(name.to_owned())
    }
}

/// The text is equal in every process that runs the program: ranks compare options by it.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", shown(&self.name))?;
        match &self.of {
            Some(schema) => write!(f, " of {schema:?}"),
            None => Ok(()),
        }
    }
}
