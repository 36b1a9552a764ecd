//! Parts of the state that the file has under other names: the same entries below another prefix.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Matching;
use super::MOST;
use super::near::likeness;
use crate::entry::{join, strip};
use crate::hash::{HashMap, HashSet};
use crate::load::entries::{Absence, EntryTarget, StateEntry};
use crate::source::Entry;

/// So many parts of a state are looked for at most.
const PARTS: usize = 64;

/// Entries below a prefix of the file that are those below another prefix of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// In the file; empty for the file itself.
    pub(crate) from: String,
    /// In the state; empty for the state itself.
    pub(crate) to: String,
    /// The entries that come together.
    pub(crate) count: usize,
    /// The entries of that part of the state.
    pub(crate) wanted: usize,
    /// The entries of that part of the file.
    pub(crate) stored: usize,
    /// A plain value is among the entries, which `load_raw` would leave as it is.
    pub(crate) has_values: bool,
}

impl Move {
    /// Of one entry.
    pub(crate) fn single(from: &str, to: &str) -> Self {
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            count: 1,
            wanted: 1,
            stored: 1,
            has_values: false,
        }
    }

    /// Returns true if the move takes this entry of the file, or a part that the entry lies below.
    pub(crate) fn takes(&self, name: &str) -> bool {
        !self.from.is_empty() && strip(name, &self.from).is_some()
    }
}

/// Everything that has moved.
#[derive(Debug)]
pub(crate) struct Moves {
    /// The prefix of a wrapper, which is removed before the parts are renamed.
    pub(crate) wrapper: Option<&'static str>,
    pub(crate) moves: Vec<Move>,
}

impl Moves {
    pub(crate) fn count(&self) -> usize {
        self.moves.iter().map(|part| part.count).sum()
    }

    /// Returns true if an entry of the state is in a part that has moved, or is an optimizer's state of a parameter that is.
    pub(crate) fn covers(&self, missing: &str) -> bool {
        let parts = &mut self.moves.iter().map(|part| part.to.as_str());
        parts.any(|to| strip(missing, to).is_some() || missing.contains(&format!(".state.{to}.")))
    }

    /// Returns true if everything that is missing is covered.
    pub(crate) fn explains(&self, missing: &[String]) -> bool {
        !missing.is_empty() && missing.iter().all(|name| self.covers(name))
    }
}

impl Matching<'_, '_> {
    /// Finds the parts. `unused` are entries of the file by the names that they would have; where `changed`, these are
    /// others than those that were looked up already.
    pub(crate) fn find_moves(&self, unused: Vec<(String, &str)>, changed: bool) -> Vec<Move> {
        let open: Vec<usize> = (0..self.entries.len()).filter(|&at| self.is_open(at)).collect();
        let found = (0..self.entries.len()).filter(|&at| self.found[at].is_some());
        let mut search = Search {
            matching: self,
            unused,
            found: found.map(|at| self.entries[at].name).collect(),
            known: self.kept(),
            changed,
            left: PARTS,
            moves: Vec::new(),
        };
        search.look_for("", &open);
        let moves = without_implied(&search.moves);
        self.of_parameters(moves, &search.unused)
    }

    /// The entries of the file that the state has, and that no move may take away. The hyper-parameters of an optimizer are
    /// found also where another optimizer has taken its name.
    fn kept(&self) -> BTreeSet<&str> {
        let is_of_optimizer = |at: &usize| matches!(self.entries[*at].held, EntryTarget::Optimizer { .. });
        let optimizers = (0..self.entries.len()).filter(is_of_optimizer);
        let theirs: HashSet<&str> = optimizers.filter_map(|at| Some(self.found[at]?.name())).collect();
        self.known
            .iter()
            .copied()
            .filter(|name| !theirs.contains(name))
            .collect()
    }

    /// Returns true if an entry of the state is looked for and not found.
    pub(super) fn is_open(&self, at: usize) -> bool {
        let entry = &self.entries[at];
        let is_own_mark = entry.absence() == Absence::Fine;
        self.found[at].is_none() && self.fates[at].is_none() && !is_own_mark && !entry.filtered
    }
}

/// The entries of the state that lie below one prefix of the file.
#[derive(Default)]
struct Count {
    found: HashSet<usize>,
    /// The entries among them whose shapes agree.
    alike: usize,
}

struct Search<'m, 'p, 'i> {
    matching: &'m Matching<'p, 'i>,
    unused: Vec<(String, &'m str)>,
    /// The entries of the state that the file has.
    found: BTreeSet<&'m str>,
    /// The entries of the file that no move may take away.
    known: BTreeSet<&'m str>,
    changed: bool,
    left: usize,
    moves: Vec<Move>,
}

impl Search<'_, '_, '_> {
    /// Looks for the part of the state below `to`, of which nothing is in the file; if it is nowhere, for the parts of it.
    fn look_for(&mut self, to: &str, open: &[usize]) {
        if self.left == 0 || open.is_empty() {
            return;
        }
        self.left -= 1;
        if !has_below(&self.found, to)
            && let Some(part) = self.best(to, open).or_else(|| self.optimizer(to))
        {
            self.moves.push(part);
            return;
        }
        let mut children: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for &at in open {
            let rest = strip(self.matching.entries[at].name, to).unwrap_or_default();
            if let Some((child, _)) = rest.split_once('.') {
                children.entry(child).or_default().push(at);
            }
        }
        let children: Vec<(String, Vec<usize>)> = children
            .into_iter()
            .map(|(child, open)| (join(to, child), open))
            .collect();
        for (child, open) in children {
            self.look_for(&child, &open);
        }
    }

    /// The optimizer of the file that must be that of the state, because each has no other of its kind that fits nowhere.
    fn optimizer(&self, to: &str) -> Option<Move> {
        let matching = self.matching;
        let of_state = |at: &usize| {
            let groups = matching.entries[*at].name.strip_suffix(".param_groups")?;
            matches!(matching.entries[*at].held, EntryTarget::Optimizer { .. }).then_some(groups)
        };
        let wanted = (0..matching.entries.len()).filter(|&at| matching.is_open(at));
        let mut wanted = wanted.filter_map(|at| of_state(&at));
        if wanted.next() != Some(to) || wanted.next().is_some() {
            return None;
        }
        let mut unused = self.unused.iter().filter_map(|(name, stored)| {
            let optimizer = name.strip_suffix(".param_groups")?;
            (!matching.known.contains(stored)).then_some(optimizer)
        });
        let from = unused.next().filter(|_| unused.next().is_none())?;
        let below = |entry: &&StateEntry<'_>| strip(entry.name, to).is_some() && entry.absence() != Absence::Fine;
        let wanted = matching.entries.iter().filter(below).count();
        let kinds = usize::from(self.unused.iter().any(|(name, _)| *name == join(from, "kind")));
        let stored = self.stored_below(from) - kinds;
        Some(Move {
            from: from.to_owned(),
            to: to.to_owned(),
            count: wanted.min(stored),
            wanted,
            stored,
            has_values: true,
        })
    }

    /// The prefix of the file below which most of these entries lie, if that is at least half of them.
    fn best(&self, to: &str, open: &[usize]) -> Option<Move> {
        let entries = self.matching.entries;
        let mut below: HashMap<&str, usize> = HashMap::default();
        for &at in open {
            below.extend(entries[at].names().filter_map(|name| Some((strip(name, to)?, at))));
        }
        if self.unused.len().saturating_mul(4) > MOST {
            return None;
        }
        let longest = below.keys().map(|name| name.len()).max().unwrap_or(0);
        let is_state = self
            .matching
            .policy
            .states
            .iter()
            .flatten()
            .any(|state| strip(to, state).is_some());
        let is_number = |from: &str| from.rsplit('.').next().is_some_and(|last| last.parse::<u64>().is_ok());
        let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
        for (name, stored) in &self.unused {
            let Some(stored) = self.matching.index.entry(stored) else {
                continue;
            };
            let dots = name.match_indices('.').map(|(at, _)| (&name[..at], &name[at + 1..]));
            let splits = std::iter::once(("", name.as_str())).chain(dots);
            // No longer ends are looked up: in a name of a million dots that would take for ever.
            for (from, rest) in splits.filter(|(_, rest)| rest.len() <= longest) {
                let Some(&at) = below.get(rest) else { continue };
                // Which parameter a number means is found out when its optimizer is.
                let is_alike = is_alike(&entries[at], stored);
                if is_alike || (entries[at].state_of.is_some() && !is_state) {
                    let count = counts.entry(from).or_default();
                    count.found.insert(at);
                    count.alike += usize::from(is_alike);
                }
            }
        }
        let candidates = counts.into_iter().filter(|(from, count)| {
            let is_most = count.found.len() * 2 >= open.len();
            let takes_away = *from != to && has_below(&self.known, from);
            is_most && !takes_away && (self.changed || *from != to) && !(is_state && is_number(from))
        });
        let rank = |(from, count): &(&str, Count)| {
            let stored = std::cmp::Reverse(self.stored_below(from));
            ((count.found.len(), count.alike, stored), likeness(from, to))
        };
        let ranked = candidates.map(|candidate| (rank(&candidate), candidate));
        let (_, (from, count)) = ranked.max_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))?;
        let mut held = count.found.iter().map(|&at| &entries[at].held);
        let has_values = held.any(|held| matches!(held, EntryTarget::Value(_)));
        Some(Move {
            from: from.to_owned(),
            to: to.to_owned(),
            count: count.found.len(),
            wanted: open.len(),
            stored: self.stored_below(from),
            has_values,
        })
    }

    fn stored_below(&self, from: &str) -> usize {
        self.unused
            .iter()
            .filter(|(name, _)| strip(name, from).is_some_and(|rest| !rest.is_empty()))
            .count()
    }
}

/// Returns true if one of the names is `prefix` or lies below it.
fn has_below(names: &BTreeSet<&str>, prefix: &str) -> bool {
    if prefix.is_empty() {
        return !names.is_empty();
    }
    let dotted = format!("{prefix}.");
    let mut below = names.range(dotted.as_str()..);
    names.contains(prefix) || below.next().is_some_and(|name| strip(name, prefix).is_some())
}

/// The state that an optimizer keeps for moved parameters moves with them.
fn without_implied(moves: &[Move]) -> Vec<Move> {
    let is_implied = |part: &Move| {
        moves.iter().any(|other| {
            let (from, to) = (format!("state.{}", other.from), format!("state.{}", other.to));
            let ends = |name: &str, end: &str| {
                name.strip_suffix(end)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            };
            other != part && ends(&part.from, &from) && ends(&part.to, &to)
        })
    };
    moves.iter().filter(|part| !is_implied(part)).cloned().collect()
}

/// Returns true if an entry of the file could be that of the state: a tensor of the same shape, or a value.
pub(super) fn is_alike(entry: &StateEntry<'_>, stored: Entry<'_>) -> bool {
    match (&entry.held, stored) {
        (EntryTarget::Tensor { info, .. }, Entry::Tensor(_, stored)) => info.shape() == stored.info.shape(),
        (EntryTarget::Value(_) | EntryTarget::Optimizer { .. }, Entry::Value(..)) => true,
        (EntryTarget::Value(_) | EntryTarget::Optimizer { .. }, Entry::Tensor(_, stored)) => {
            stored.info.shape().is_empty()
        }
        (EntryTarget::Tensor { .. }, Entry::Value(..)) => false,
    }
}
