//! The traces of a migration in an index: entries that are no plain part of the file any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{DType, TensorInfo, strip};
use crate::migrate::Pattern;

/// The entries of an index that a migration has made or moved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edits {
    /// The element types of tensors that are converted while they are read, by name.
    pub(crate) casts: BTreeMap<String, TensorInfo>,
    /// Tensors of the state that the file lacks, and that a load fills with zeros.
    pub(crate) zeros: Vec<Declared>,
    /// Entries of the state that the file lacks, and that a load leaves as they are.
    pub(crate) kept: Vec<Declared>,
    /// The levels of an optimizer's state of a parameter that begins anew: `optimizer.state.fc.weight`.
    pub(crate) anew: BTreeSet<String>,
    /// Sentences for the report.
    pub(crate) notes: Vec<String>,
    /// The entries of the file that an entry was made of, by its new name.
    pub(crate) origins: BTreeMap<String, Origin>,
}

/// A name in a recipe, below the struct that the recipe belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) at: String,
    pub(crate) name: Pattern,
}

/// The entries that an entry was made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Origin {
    /// Their names in the file; empty for a new entry.
    pub(crate) from: Vec<String>,
    /// The words of the recipe, in the order in which they were followed.
    pub(crate) words: Vec<String>,
}

impl Declared {
    /// Returns true for the entry of this name, and for entries below it.
    pub(crate) fn holds(&self, entry: &str) -> bool {
        let below = strip(entry, &self.at).filter(|below| !below.is_empty());
        below.is_some_and(|below| self.name.start(below).is_some())
    }

    /// The declaration relative to a level, if it belongs to a struct at or below the level.
    fn below(&self, level: &str) -> Option<Self> {
        let at = strip(&self.at, level)?.to_owned();
        Some(Self {
            at,
            name: self.name.clone(),
        })
    }
}

impl Edits {
    /// The edits of the entries below a name, which are named relative to it.
    pub(crate) fn below(&self, name: &str) -> Self {
        let below = |entry: &String| strip(entry, name).filter(|rest| !rest.is_empty()).map(str::to_owned);
        let casts = self.casts.iter();
        let origins = self.origins.iter();
        Self {
            casts: casts
                .filter_map(|(entry, info)| Some((below(entry)?, info.clone())))
                .collect(),
            zeros: self.zeros.iter().filter_map(|declared| declared.below(name)).collect(),
            kept: self.kept.iter().filter_map(|declared| declared.below(name)).collect(),
            notes: Vec::new(),
            anew: self.anew.iter().filter_map(below).collect(),
            origins: origins
                .filter_map(|(entry, origin)| Some((below(entry)?, origin.clone())))
                .collect(),
        }
    }

    /// The element type of a tensor after a conversion.
    pub(crate) fn dtype(&self, name: &str) -> Option<DType> {
        self.casts.get(name).map(TensorInfo::dtype)
    }

    pub(crate) fn is_zero(&self, entry: &str) -> bool {
        self.zeros.iter().any(|declared| declared.holds(entry))
    }

    pub(crate) fn is_kept(&self, entry: &str) -> bool {
        self.kept.iter().any(|declared| declared.holds(entry))
    }

    /// Returns true for the state of a parameter that begins anew. `states` are the levels of the optimizer's state.
    pub(crate) fn begins_anew(&self, entry: &str, states: &[String]) -> bool {
        let levels = entry.match_indices('.').map(|(dot, _)| &entry[..dot]);
        let is_marked = || levels.clone().any(|level| self.anew.contains(level));
        !self.anew.is_empty() && is_marked() || below(entry, states).any(|parameter| self.is_zero(parameter))
    }

    /// Returns true for the state of a parameter that a load leaves as it is.
    pub(crate) fn keeps_state(&self, entry: &str, states: &[String]) -> bool {
        below(entry, states).any(|parameter| self.is_kept(parameter))
    }
}

/// The name below each of the levels that holds the entry.
fn below<'e>(entry: &'e str, levels: &'e [String]) -> impl Iterator<Item = &'e str> {
    levels.iter().filter_map(move |level| strip(entry, level))
}
