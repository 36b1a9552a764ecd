//! Matches the entries of a state with those of a source: one report of all findings, and what to move if it is
//! acceptable.

mod advice;
mod fresh;
mod leftover;
pub(crate) mod numbered;
mod wanted;
mod whole;
mod wrong;

use std::collections::hash_map;

use smallvec::SmallVec;

pub(crate) use super::plan::wanted::{Absence, PerRank, StateOf, Wanted, WantedKind};
use crate::entry::{TensorInfo, of_rank, strip};
use crate::hash::{HashMap, HashSet, map_of, set_of};
use crate::options::{LoadOptions, OnMismatch};
use crate::report::{LoadReport, Mismatch, MismatchKind};
use crate::source::{Entry, Index, Lookup, StoredTensor};
use crate::state::{Handle, Keys, OptionalField, StorageKey};

/// What the caller allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) options: LoadOptions,
    /// Every entry of the source belongs to the one object: bare weights.
    pub(crate) whole: bool,
    /// What had to be assumed about the file before it was matched, as sentences.
    pub(crate) assumed: Vec<String>,
    /// Parts of the state that hold no entry at present.
    pub(crate) empty: Vec<String>,
    /// Those of them that are `None`.
    pub(crate) none: Vec<String>,
    /// For each optimizer, what the names of its state begin with.
    pub(crate) states: Vec<Vec<String>>,
    /// The keys of the state at its first level.
    pub(crate) keys: Keys,
}

/// What to move, by position among the wanted.
#[derive(Debug, Default)]
pub(crate) struct LoadPlan<'i> {
    /// One for each piece of memory.
    pub(crate) tensors: Vec<Filling<'i>>,
    /// Tensors of the source that must have equal contents, because the state ties them: (wanted, one, other).
    pub(crate) equal: Vec<(usize, Named<'i>, Named<'i>)>,
    pub(crate) values: Vec<(usize, &'i str)>,
    /// Values whose absence is a value.
    pub(crate) absent: Vec<usize>,
    /// State that begins at zero.
    pub(crate) fresh: Vec<usize>,
    /// The entries of the source that are used.
    pub(crate) consumed: HashSet<&'i str>,
    pub(crate) report: LoadReport,
}

/// A tensor of the source, and its name there.
pub(crate) type Named<'i> = (&'i str, &'i StoredTensor);

/// A tensor of the state that is filled with one of the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling<'i> {
    pub(crate) wanted: usize,
    pub(crate) name: &'i str,
    pub(crate) stored: &'i StoredTensor,
    /// Whether elements are converted.
    pub(crate) cast: bool,
}

/// Matches everything with everything, and decides nothing else.
pub(crate) fn plan<'i, 's>(
    wanted: &[Wanted<'_>],
    components: impl FnOnce() -> Vec<&'s str>,
    optionals: &[OptionalField],
    index: &'i Index,
    policy: &Policy,
) -> LoadPlan<'i> {
    let mut matching = Matching::new(wanted, index, policy);
    matching.find();
    matching.match_tensors();
    matching.match_values();
    matching.find_fresh();
    matching.keep_states_whole();
    matching.note_absent(optionals);
    matching.note_unexpected(components);
    matching.finish()
}

/// What becomes of an entry of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The file has its contents.
    Restored,
    /// It begins at zero.
    Fresh,
    /// The file has something that does not fit; the load is refused.
    Refused,
    /// The file has something that does not fit, and the call allows that.
    Skipped,
    /// The schema's own filter leaves it out.
    Filtered,
    /// The call does not ask for it.
    Unasked,
    /// The file has its contents, and it stays all the same, because it has no use without other state of its parameter.
    Withheld,
}

pub(crate) struct Matching<'p, 'i> {
    pub(crate) wanted: &'p [Wanted<'p>],
    pub(crate) index: &'i Index,
    pub(crate) policy: &'p Policy,
    /// For each wanted entry, that of the source.
    pub(crate) found: Vec<Option<Entry<'i>>>,
    /// For each wanted entry that needs no further word, what becomes of it.
    pub(crate) fates: Vec<Option<Fate>>,
    /// The file has an entry of the state that the call does not ask for.
    pub(crate) has_unasked: bool,
    /// Names in the source that belong to some wanted entry.
    pub(crate) known: HashSet<&'i str>,
    pub(crate) plan: LoadPlan<'i>,
}

impl<'p, 'i> Matching<'p, 'i> {
    fn new(wanted: &'p [Wanted<'p>], index: &'i Index, policy: &'p Policy) -> Self {
        Self {
            wanted,
            index,
            policy,
            found: vec![None; wanted.len()],
            fates: vec![None; wanted.len()],
            has_unasked: false,
            known: set_of(wanted.len()),
            plan: LoadPlan {
                report: LoadReport {
                    origin: index.origin.clone(),
                    strict: policy.options.strict,
                    assumed: policy.assumed.clone(),
                    ..LoadReport::default()
                },
                consumed: set_of(wanted.len()),
                ..LoadPlan::default()
            },
        }
    }

    fn is_asked_for(&self, wanted: &Wanted<'_>) -> bool {
        let LoadOptions { only, exclude, .. } = &self.policy.options;
        let is_below = |handle: &Handle| strip(wanted.declared(), &handle.name).is_some();
        (only.is_empty() || only.iter().any(is_below)) && !exclude.iter().any(is_below)
    }

    /// Bare weights are tensors: a value beside them is not looked for.
    pub(crate) fn is_bare_value(&self, wanted: &Wanted<'_>) -> bool {
        self.policy.whole && matches!(wanted.kind, WantedKind::Value { optimizer: false, .. })
    }

    /// Looks every wanted entry up under all of its names.
    fn find(&mut self) {
        let mut entries = Lookup::of(self.index);
        for (at, wanted) in self.wanted.iter().enumerate() {
            let is_asked_for = self.is_asked_for(wanted);
            let takes_part = is_asked_for && !self.is_bare_value(wanted);
            if takes_part && !wanted.filtered {
                self.take_for_others(wanted);
            }
            let mut present: SmallVec<[Entry<'i>; 1]> = wanted.names().filter_map(|name| entries.entry(name)).collect();
            present.dedup_by_key(|entry| entry.name());
            self.known.extend(present.iter().map(|entry| entry.name()));
            present.retain(|entry| !wanted.is_not_there_yet(*entry));
            self.has_unasked |= !is_asked_for && !wanted.filtered && !present.is_empty();
            if !takes_part {
                self.fates[at] = Some(Fate::Unasked);
            } else if wanted.filtered {
                self.fates[at] = Some(Fate::Filtered);
                self.plan.report.filtered.push(wanted.name.to_owned());
            } else if present.len() > 1 && !Entry::same_place(&present) {
                let both: Vec<String> = present.iter().map(|entry| format!("`{}`", entry.name())).collect();
                self.refuse(at, MismatchKind::Ambiguous, both.join(" and "), String::new());
            } else {
                self.found[at] = present.first().copied();
            }
        }
    }

    /// What the other ranks take of a value is no remainder on this one either, whether or not it has a value itself.
    fn take_for_others(&mut self, wanted: &Wanted<'_>) {
        let Some(own) = wanted.per_rank else { return };
        for name in &own.names {
            let numbered = (0..own.world_size).map(|rank| of_rank(name, rank));
            // What one process saved by itself is rank 0's, and has no number.
            let others = numbered
                .chain([name.clone()])
                .filter_map(|name| self.index.entry(&name));
            self.plan.consumed.extend(others.map(Entry::name));
        }
    }

    fn match_tensors(&mut self) {
        let mut filled: HashMap<&StorageKey, Named<'i>> = map_of(self.wanted.len());
        for (at, wanted) in self.wanted.iter().enumerate() {
            let (WantedKind::Tensor { info, memory }, Some(found)) = (&wanted.kind, self.found[at]) else {
                continue;
            };
            let (name, stored) = match found {
                Entry::Tensor(name, stored) => (name, stored),
                Entry::Value(_, value) => {
                    self.refuse(at, MismatchKind::Type, value.describe(), format!("a tensor, {info}"));
                    continue;
                }
            };
            if !self.fits(at, info, stored) {
                continue;
            }
            match filled.entry(memory) {
                hash_map::Entry::Occupied(first) => {
                    let first = *first.get();
                    self.check_tie(at, first, (name, stored));
                }
                hash_map::Entry::Vacant(place) => {
                    place.insert((name, stored));
                    self.plan.tensors.push(Filling {
                        wanted: at,
                        name,
                        stored,
                        cast: stored.info.dtype() != info.dtype(),
                    });
                }
            }
            self.restore(at, name);
        }
        self.fill_through_ties(&filled);
    }

    fn fits(&mut self, at: usize, info: &TensorInfo, stored: &StoredTensor) -> bool {
        let (found, expected) = (&stored.info, info);
        if found.shape() != expected.shape() {
            let shapes = (format!("{:?}", found.shape()), format!("{:?}", expected.shape()));
            self.refuse(at, MismatchKind::Shape, shapes.0, shapes.1);
            return false;
        }
        let is_castable = found.dtype().widened().is_some();
        let castable = self.policy.options.cast && is_castable;
        if found.dtype() != expected.dtype() && !castable {
            self.plan.report.is_castable |= is_castable;
            self.refuse(
                at,
                MismatchKind::DType,
                found.dtype().to_string(),
                expected.dtype().to_string(),
            );
            return false;
        }
        true
    }

    /// Two names, one piece of memory: the file must not say two things about it.
    fn check_tie(&mut self, at: usize, first: Named<'i>, second: Named<'i>) {
        match first.1.same_contents(second.1) {
            Some(true) => {}
            Some(false) => self.refuse(at, MismatchKind::Tied, "contents".into(), format!("`{}`", first.0)),
            None => self.plan.equal.push((at, first, second)),
        }
    }

    /// An entry that the file lacks is restored all the same if it shares its memory with one that the file has.
    fn fill_through_ties(&mut self, filled: &HashMap<&StorageKey, Named<'i>>) {
        for (at, wanted) in self.wanted.iter().enumerate() {
            let WantedKind::Tensor { memory, .. } = &wanted.kind else {
                continue;
            };
            if self.fates[at].is_none() && self.found[at].is_none() && filled.contains_key(memory) {
                self.fates[at] = Some(Fate::Restored);
                self.plan.report.restored.push(wanted.name.to_owned());
            }
        }
    }

    fn match_values(&mut self) {
        for (at, wanted) in self.wanted.iter().enumerate() {
            let (WantedKind::Value { .. }, Some(found)) = (&wanted.kind, self.found[at]) else {
                continue;
            };
            if let Entry::Tensor(_, stored) = found
                && !stored.info.shape().is_empty()
            {
                let found = format!("a tensor, {}", stored.info);
                self.refuse(at, MismatchKind::Type, found, "a value".into());
                continue;
            }
            self.plan.values.push((at, found.name()));
            self.restore(at, found.name());
        }
    }

    fn restore(&mut self, at: usize, stored_name: &'i str) {
        if self.fates[at].is_none() {
            self.fates[at] = Some(Fate::Restored);
            self.plan.report.restored.push(self.wanted[at].name.to_owned());
        }
        self.plan.consumed.insert(stored_name);
    }

    fn refuse(&mut self, at: usize, kind: MismatchKind, found: String, expected: String) {
        let skipped = kind == MismatchKind::Shape && self.policy.options.on_mismatch == OnMismatch::Skip;
        self.fates[at] = Some(if skipped { Fate::Skipped } else { Fate::Refused });
        self.plan.report.mismatched.push(Mismatch {
            name: self.wanted[at].name.to_owned(),
            kind,
            found,
            expected,
            skipped,
        });
    }

    fn finish(mut self) -> LoadPlan<'i> {
        self.plan.report.wrong_file = self.wrong_file();
        self.advise();
        self.plan.report.sort();
        self.plan
    }
}
