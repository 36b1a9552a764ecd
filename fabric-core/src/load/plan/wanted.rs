//! The entries of a state that a load looks for.

use crate::entry::TensorInfo;
use crate::state::StorageKey;

/// An entry of the state, as matching sees it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'w> {
    pub(crate) name: &'w str,
    pub(crate) alternatives: &'w [String],
    pub(crate) kind: WantedKind,
    /// The schema's own filter leaves it out.
    pub(crate) filtered: bool,
    /// Entries with the same number may be absent together.
    pub(crate) optional: Option<usize>,
    /// The parameter that this is an optimizer's state of.
    pub(crate) state_of: Option<StateOf>,
    /// A value that each rank has its own of.
    pub(crate) per_rank: Option<&'w PerRank>,
}

/// A parameter of an optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateOf {
    pub(crate) optimizer: usize,
    pub(crate) parameter: usize,
    /// The file is one of PyTorch's, which writes no state before there is some.
    pub(crate) may_be_fresh: bool,
}

/// How a value is called that each rank has its own of.
#[derive(Clone, Debug)]
pub(crate) struct PerRank {
    /// Without a rank's number: first as it is declared, then under its older names.
    pub(crate) names: Vec<String>,
    /// The ranks that load together.
    pub(crate) world_size: usize,
}

impl Wanted<'_> {
    /// All that it may be called in a source.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name).chain(self.alternatives.iter().map(String::as_str))
    }

    /// The name by which the schema knows it.
    pub(crate) fn declared(&self) -> &str {
        self.per_rank.map_or(self.name, |own| &own.names[0])
    }
}

#[derive(Clone, Debug)]
pub(crate) enum WantedKind {
    Tensor {
        info: TensorInfo,
        memory: StorageKey,
    },
    Value {
        absence: Absence,
        /// Part of an optimizer's state, which bare files hold too.
        optimizer: bool,
    },
}

/// What it means that the file has no such value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    Missing,
    /// Absence is a value itself: `None`.
    Meant,
    /// Written by this library alone: files of others do without.
    Fine,
}
