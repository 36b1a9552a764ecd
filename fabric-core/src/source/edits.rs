//! The traces of a migration in an index: entries that are no plain part of the file any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::entry::{DType, TensorInfo, join, strip, without_rank};
use crate::error::{Error, MigrationError};
use crate::hash::HashMap;
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
    /// The errors of recipes that refuse the file if it matches without them.
    pub(crate) doubts: Vec<MigrationError>,
    /// The entries of the file that an entry was made of, by its new name.
    pub(crate) origins: BTreeMap<String, Origin>,
}

/// Entries of the state that a recipe declares as absent from the file.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// The level of the struct that the recipe belongs to.
    pub(crate) at: String,
    /// The name below the level.
    pub(crate) name: Pattern,
    /// The optimizer's state of a parameter that the state keeps begins anew.
    pub(crate) begins_anew: bool,
    /// The state may lack the entries too.
    pub(crate) if_present: bool,
    /// The error of the word, without its finding.
    pub(crate) refusal: Arc<MigrationError>,
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
        let Some(below) = strip(entry, &self.at).filter(|below| !below.is_empty()) else {
            return false;
        };
        let of_all_ranks = without_rank(below).map(|(below, _)| below);
        let mut names = std::iter::once(below).chain(of_all_ranks);
        names.any(|name| self.name.start(name).is_some())
    }

    /// The declaration relative to a level, if it belongs to a struct at or below the level.
    fn below(&self, level: &str) -> Option<Self> {
        let at = strip(&self.at, level)?.to_owned();
        Some(Self { at, ..self.clone() })
    }

    /// The error of the word.
    pub(crate) fn refuse(&self, what: String) -> Error {
        Error::Migration(Box::new(MigrationError {
            what,
            ..(*self.refusal).clone()
        }))
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
            doubts: Vec::new(),
            anew: self.anew.iter().filter_map(below).collect(),
            origins: origins
                .filter_map(|(entry, origin)| Some((below(entry)?, origin.clone())))
                .collect(),
        }
    }

    /// The edits of entries that get other names; those without a new name are left out.
    pub(crate) fn renamed(&self, rename: impl Fn(&str) -> Option<String>) -> Self {
        let declared = |all: &[Declared]| {
            let renamed = all.iter().filter_map(|declared| {
                let name = rename(&join(&declared.at, declared.name.as_str()))?;
                Some(Declared {
                    at: String::new(),
                    name: Pattern::new(name),
                    ..declared.clone()
                })
            });
            renamed.collect()
        };
        let casts = self.casts.iter();
        let origins = self.origins.iter();
        Self {
            casts: casts
                .filter_map(|(name, info)| Some((rename(name)?, info.clone())))
                .collect(),
            zeros: declared(&self.zeros),
            kept: declared(&self.kept),
            notes: self.notes.clone(),
            doubts: self.doubts.clone(),
            anew: self.anew.iter().filter_map(|level| rename(level)).collect(),
            origins: origins
                .filter_map(|(name, origin)| Some((rename(name)?, origin.clone())))
                .collect(),
        }
    }

    /// Says the declarations below a path of the file of another path too, under which the state has the struct.
    pub(crate) fn declare_at(&mut self, path: &str, own: &str) {
        for all in [&mut self.zeros, &mut self.kept] {
            let moved = |declared: &Declared| {
                let below = strip(&declared.at, path)?;
                Some(Declared {
                    at: join(own, below),
                    ..declared.clone()
                })
            };
            let more: Vec<Declared> = all.iter().filter_map(moved).collect();
            all.extend(more);
        }
    }

    /// Gives the declarations that a pattern finds below `at` other names, and returns these.
    pub(crate) fn rename_declared(&mut self, at: &str, from: &Pattern, to: &Pattern) -> Vec<String> {
        let mut renamed = Vec::new();
        for declared in self.zeros.iter_mut().chain(&mut self.kept) {
            let name = join(&declared.at, declared.name.as_str());
            let found = strip(&name, at).and_then(|below| from.start(below));
            if let Some((captures, rest)) = found {
                let new = format!("{}{rest}", to.with(&captures));
                declared.name = Pattern::new(new.trim_start_matches('.'));
                at.clone_into(&mut declared.at);
                renamed.push(join(at, declared.name.as_str()));
            }
        }
        renamed
    }

    /// Takes the declarations away that a pattern finds below `at`, and returns their number.
    pub(crate) fn remove_declared(&mut self, at: &str, pattern: &Pattern) -> usize {
        let is_gone = |declared: &Declared| {
            let name = join(&declared.at, declared.name.as_str());
            strip(&name, at).is_some_and(|below| pattern.start(below).is_some())
        };
        let before = self.zeros.len() + self.kept.len();
        self.zeros.retain(|declared| !is_gone(declared));
        self.kept.retain(|declared| !is_gone(declared));
        before - self.zeros.len() - self.kept.len()
    }

    /// The element type of a tensor after a conversion.
    pub(crate) fn dtype(&self, name: &str) -> Option<DType> {
        self.casts.get(name).map(TensorInfo::dtype)
    }

    /// Returns true for an entry that a recipe made of nothing.
    pub(crate) fn is_new(&self, entry: &str) -> bool {
        self.origins.get(entry).is_some_and(|origin| origin.from.is_empty())
    }

    /// The declarations by their structs.
    pub(crate) fn declarations(&self) -> Declarations<'_> {
        Declarations {
            edits: self,
            zeros: by_level(&self.zeros),
            kept: by_level(&self.kept),
        }
    }
}

type ByLevel<'e> = HashMap<&'e str, Vec<(usize, &'e Declared)>>;

/// The declarations of a recipe, by the levels of their structs.
pub(crate) struct Declarations<'e> {
    edits: &'e Edits,
    zeros: ByLevel<'e>,
    kept: ByLevel<'e>,
}

fn by_level(all: &[Declared]) -> ByLevel<'_> {
    let mut levels = ByLevel::default();
    for (number, declared) in all.iter().enumerate() {
        levels.entry(&declared.at).or_default().push((number, declared));
    }
    levels
}

/// The declarations that hold an entry, with their numbers.
fn holding<'l>(levels: &'l ByLevel<'_>, entry: &'l str) -> impl Iterator<Item = (usize, &'l Declared)> {
    let above = entry.match_indices('.').map(|(dot, _)| &entry[..dot]);
    let found = std::iter::once("").chain(above).filter_map(|level| levels.get(level));
    let found = found.flatten().filter(|(_, declared)| declared.holds(entry));
    found.map(|(number, declared)| (*number, *declared))
}

impl Declarations<'_> {
    /// The numbers of the declarations of zeros that hold an entry.
    pub(crate) fn zeros<'l>(&'l self, entry: &'l str) -> impl Iterator<Item = usize> {
        holding(&self.zeros, entry).map(|(number, _)| number)
    }

    /// The numbers of the declarations of kept entries that hold an entry.
    pub(crate) fn kept<'l>(&'l self, entry: &'l str) -> impl Iterator<Item = usize> {
        holding(&self.kept, entry).map(|(number, _)| number)
    }

    pub(crate) fn is_zero(&self, entry: &str) -> bool {
        self.zeros(entry).next().is_some()
    }

    pub(crate) fn is_kept(&self, entry: &str) -> bool {
        self.kept(entry).next().is_some()
    }

    /// Returns true for the state of a parameter that begins anew. `states` are the levels of the optimizer's state.
    pub(crate) fn begins_anew(&self, entry: &str, states: &[String]) -> bool {
        let anew = &self.edits.anew;
        let mut levels = entry.match_indices('.').map(|(dot, _)| &entry[..dot]);
        let is_new = |parameter: &str| {
            let mut kept = holding(&self.kept, parameter);
            self.is_zero(parameter) || kept.any(|(_, declared)| declared.begins_anew)
        };
        !anew.is_empty() && levels.any(|level| anew.contains(level)) || below(entry, states).any(is_new)
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
