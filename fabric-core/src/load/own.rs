//! The names in a file of values that differ between processes (`per_rank`).

use crate::entry::of_rank;

/// The names in a file of a value that differs between processes.
#[derive(Clone, Debug)]
pub(crate) struct OwnNames {
    /// The names of this process's value, in the order in which they are looked up.
    pub(crate) here: Vec<String>,
    /// The names of the values of all processes that load together. None of these values is left in the remainder.
    pub(crate) taken: Vec<String>,
}

/// A value that differs between processes.
#[derive(Clone, Debug)]
pub(crate) struct OwnValue {
    /// The names without a rank: first the declared name, then its aliases.
    pub(crate) declared: Vec<String>,
    /// The names of [`OwnNames::taken`].
    pub(crate) taken: Vec<String>,
}

impl OwnNames {
    /// The names for a process that loads alone. A value without a rank was saved by one process; of the values of
    /// several ranks, the first is taken.
    pub(crate) fn alone(declared: &[String]) -> Self {
        let numbered = declared.iter().map(|name| of_rank(name, 0));
        let here: Vec<String> = declared.iter().cloned().chain(numbered).collect();
        let taken = here.clone();
        Self { here, taken }
    }
}
