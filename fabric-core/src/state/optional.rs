//! Fields marked `optional`, and the names by which a load looks for them in a file.

use super::aliases::Names;
use super::walk::Scope;

/// A field whose absence in a file is no error.
#[derive(Clone, Debug)]
pub(crate) struct OptionalField {
    /// The index of the enclosing `optional` field.
    pub(crate) around: Option<usize>,
    /// The names of the field; without a name for a flattened field.
    pub(crate) at: Names,
    /// The names of the field in the file; empty for a flattened field.
    pub(crate) names: Vec<String>,
}

impl OptionalField {
    /// A field in this scope; `None` for a flattened field.
    pub(super) fn new(around: Option<usize>, at: Option<&Scope>) -> Self {
        let at = at.map(Scope::names);
        Self {
            around,
            names: at.iter().map(|at| at.own.clone()).collect(),
            at: at.unwrap_or_default(),
        }
    }
}
