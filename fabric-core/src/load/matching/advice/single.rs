//! Single entries that the file has under another name: parameters whose state has moved, and tensors and values that nothing
//! else in the file could be.

use super::super::Matching;
use super::MOST;
use super::moved::{Move, is_alike};
use crate::entry::{join, strip};
use crate::hash::{HashMap, HashSet};
use crate::load::entries::{EntryTarget, StateEntry};
use crate::source::Entry;

/// So many single entries are looked for at most.
const SINGLES: usize = 64;

/// A value that could be one of more than this is not named.
const MOST_NAMES: usize = 4;

/// So many values of which each could be one of several are named at most.
const MOST_VALUES: usize = 4;

/// The entries of the file that no part of the state takes, by the names that they would have.
type Unused<'u> = HashMap<&'u str, &'u str>;

impl Matching<'_, '_> {
    /// The moves, with those of an optimizer's state of a parameter replaced by moves of the parameter: a rename of the
    /// parameter takes its state along, and one of the state leaves the parameter behind.
    pub(super) fn of_parameters(&self, moves: Vec<Move>, unused: &[(String, &str)]) -> Vec<Move> {
        let is_state = |part: &Move| self.states().any(|state| strip(&part.to, state).is_some());
        let (of_state, mut kept): (Vec<Move>, Vec<Move>) = moves.into_iter().partition(is_state);
        if of_state.is_empty() {
            return kept;
        }
        let unused: Unused<'_> = unused.iter().map(|(name, stored)| (name.as_str(), *stored)).collect();
        let places = self.entries.iter().enumerate().map(|(at, entry)| (entry.name, at));
        let places: HashMap<&str, usize> = places.collect();
        for part in of_state {
            match self.parameters(&part, &kept, &unused, &places) {
                Some(parameters) => kept.extend(parameters),
                None => kept.push(part),
            }
        }
        kept
    }

    /// The parameters whose state is in `part` and that are in none of `others`; `None` if one of them is no tensor of the
    /// file that the state lacks.
    fn parameters(
        &self,
        part: &Move,
        others: &[Move],
        unused: &Unused<'_>,
        places: &HashMap<&str, usize>,
    ) -> Option<Vec<Move>> {
        let state = self.states().find(|state| strip(&part.to, state).is_some())?;
        let mut parameters: Vec<Move> = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let Some(rest) = strip(entry.name, &part.to).filter(|_| self.is_open(at)) else {
                continue;
            };
            let from = join(&part.from, rest);
            if !unused.contains_key(from.as_str()) {
                continue;
            }
            let (to, _) = strip(entry.name, state)?.rsplit_once('.')?;
            let from = self.parameter(&from)?;
            let mut known = others.iter().chain(&parameters);
            if known.any(|other| strip(to, &other.to).is_some_and(|rest| join(&other.from, rest) == from)) {
                continue;
            }
            // What another part of the state takes is not taken twice.
            if others.iter().chain(&parameters).any(|other| other.takes(from)) {
                continue;
            }
            let at = *places.get(to).filter(|&&at| self.is_open(at))?;
            let stored = self.index.entry(unused.get(from)?)?;
            if !is_alike(&self.entries[at], stored) {
                return None;
            }
            parameters.push(Move::single(from, to));
        }
        Some(parameters)
    }

    /// The parameter that an entry of the file is an optimizer's state of.
    fn parameter<'n>(&self, name: &'n str) -> Option<&'n str> {
        let mut states = name.match_indices(".state.");
        let is_optimizer = |at: usize| self.index.contains(&format!("{}.param_groups", &name[..at]));
        let (at, state) = states.find(|&(at, _)| is_optimizer(at))?;
        Some(name[at + state.len()..].rsplit_once('.')?.0)
    }

    fn states(&self) -> impl Iterator<Item = &String> {
        self.policy.states.iter().flatten()
    }

    /// Missing entries that the file may have under another name, none of which is `covered` by another move or `taken` by one.
    pub(super) fn likely(&self, covered: impl Fn(&str) -> bool, taken: impl Fn(&str) -> bool) -> Likely {
        let is_state = |name: &str| self.states().any(|state| strip(name, state).is_some());
        let missing: HashSet<&str> = self.plan.report.missing.iter().map(String::as_str).collect();
        let is_wanted = |at: &usize| {
            let entry = &self.entries[*at];
            let is_of_optimizer = entry.state_of.is_some() || matches!(entry.held, EntryTarget::Optimizer { .. });
            missing.contains(entry.name) && !is_of_optimizer && !covered(entry.name)
        };
        let mut wanted: Vec<usize> = (0..self.entries.len()).filter(is_wanted).collect();
        let unused = self.index.names().filter(|name| !self.known.contains(*name));
        let mut unused: Vec<&str> = unused.filter(|name| !taken(name) && !is_state(name)).collect();
        if wanted.len() > SINGLES || wanted.len().saturating_mul(unused.len()) > MOST {
            return Likely::default();
        }
        let mut likely = Likely::default();
        for is_near in [is_at_level_of, is_tensor] {
            let candidates = self.candidates(&wanted, &unused, is_near);
            let pairs = pairs(&candidates);
            wanted.retain(|at| pairs.iter().all(|(taken, _)| taken != at));
            unused.retain(|name| pairs.iter().all(|(_, taken)| taken != name));
            let single = |&(at, from): &(usize, &str)| Move::single(from, self.entries[at].name);
            likely.moves.extend(pairs.iter().map(single));
        }
        let values = self.candidates(&wanted, &unused, |entry, name| {
            matches!(entry.held, EntryTarget::Value(_)) && is_at_level_of(entry, name)
        });
        let values = values.into_iter().filter(|(_, names)| names.len() <= MOST_NAMES);
        let sentences = values.map(|(at, names)| one_of(self.entries[at].name, &names));
        likely.sentences = sentences.take(MOST_VALUES).collect();
        likely
    }

    /// For each of these entries the unused entries of the file that fit it.
    fn candidates<'u>(
        &self,
        wanted: &[usize],
        unused: &[&'u str],
        is_near: impl Fn(&StateEntry<'_>, &str) -> bool,
    ) -> Vec<(usize, Vec<&'u str>)> {
        let fits = |entry: &StateEntry<'_>, name: &str| match (self.index.entry(name), &entry.held) {
            (Some(Entry::Value(_, stored)), EntryTarget::Value(slot)) => slot.fits(stored),
            (Some(stored), _) => is_alike(entry, stored),
            (None, _) => false,
        };
        let of = |&at: &usize| {
            let entry = &self.entries[at];
            let names = unused.iter().copied();
            (
                at,
                names
                    .filter(|name| is_near(entry, name) && fits(entry, name))
                    .collect::<Vec<_>>(),
            )
        };
        let candidates = wanted.iter().map(of);
        candidates.filter(|(_, names)| !names.is_empty()).collect()
    }
}

/// Entries that the file may have under another name.
#[derive(Debug, Default)]
pub(super) struct Likely {
    /// Those that only one entry of the file could be, which could be no other.
    pub(super) moves: Vec<Move>,
    /// A sentence for each value that could be one of several.
    pub(super) sentences: Vec<String>,
}

/// The pairs of which neither could be in another pair.
fn pairs<'u>(candidates: &[(usize, Vec<&'u str>)]) -> Vec<(usize, &'u str)> {
    let mut counts: HashMap<&str, usize> = HashMap::default();
    for name in candidates.iter().flat_map(|(_, names)| names) {
        *counts.entry(name).or_default() += 1;
    }
    let only = |(at, names): &(usize, Vec<&'u str>)| match names[..] {
        [name] if counts[name] == 1 => Some((*at, name)),
        _ => None,
    };
    candidates.iter().filter_map(only).collect()
}

fn is_at_level_of(entry: &StateEntry<'_>, name: &str) -> bool {
    let level = |name: &str| name.rsplit_once('.').map(|(level, _)| level.to_owned());
    level(entry.name) == level(name)
}

fn is_tensor(entry: &StateEntry<'_>, _: &str) -> bool {
    matches!(entry.held, EntryTarget::Tensor { .. })
}

fn one_of(to: &str, names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let calls = names
        .iter()
        .map(|from| format!("LoadOptions::rename({from:?}, {to:?})"));
    let calls: Vec<String> = calls.collect();
    format!(
        "`{to}` may be what the file calls {}: {}",
        quoted.join(" or "),
        calls.join(" or ")
    )
}
