//! Fields marked `optional`: what tells that one of them is in a file.

use super::walk::Scope;

/// A field whose absence in a file is no error.
#[derive(Clone, Debug)]
pub(crate) struct OptionalField {
    /// The `optional` field around it, as a place in the list of all.
    pub(crate) around: Option<usize>,
    /// What its entries are called in a file, or what their names begin with; nothing for a flattened field.
    pub(crate) names: Vec<String>,
}

impl OptionalField {
    /// A field at this place; `None` if its entries join the level around it.
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
