//! Fields marked `optional`, and the names by which a load looks for them in a file.

use super::walk::Scope;

/// A field whose absence in a file is no error.
#[derive(Clone, Debug)]
pub(crate) struct OptionalField {
    /// The index of the enclosing `optional` field.
    pub(crate) around: Option<usize>,
    /// The names of the field in a file, with its aliases; empty for a flattened field.
    pub(crate) names: Vec<String>,
}

impl OptionalField {
    /// A field in this scope; `None` for a flattened field.
    pub(super) fn new(around: Option<usize>, at: Option<&Scope>) -> Self {
        let names = at.map(|scope| {
            std::iter::once(&scope.name)
                .chain(&scope.alternatives)
                .cloned()
                .collect()
        });
        Self {
            around,
            names: names.unwrap_or_default(),
        }
    }
}
