//! Values of which every process that saves has its own (`per_rank`): how a file calls them.

use crate::entry::of_rank;

/// How a file calls the value that one process has of its own.
#[derive(Clone, Debug)]
pub(crate) struct OwnNames {
    /// The value of this process, in the order in which the names are looked for.
    pub(crate) here: Vec<String>,
    /// The values of all processes that load together: none of them is left for the remainder.
    pub(crate) taken: Vec<String>,
}

/// A value that one process has of its own.
#[derive(Clone, Debug)]
pub(crate) struct OwnValue {
    /// The name without a number: first as it is declared, then as in older files.
    pub(crate) declared: Vec<String>,
    /// As in [`OwnNames::taken`].
    pub(crate) taken: Vec<String>,
}

impl OwnNames {
    /// Of a process that loads by itself: a value without a number was saved by one process, and of several processes the
    /// first counts.
    pub(crate) fn alone(declared: &[String]) -> Self {
        let numbered = declared.iter().map(|name| of_rank(name, 0));
        let here: Vec<String> = declared.iter().cloned().chain(numbered).collect();
        let taken = here.clone();
        Self { here, taken }
    }
}
