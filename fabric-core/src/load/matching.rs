//! Matches the entries of a state with those of a file, without I/O: one report of all findings, and what to move if it is
//! acceptable.

mod advice;
pub(crate) mod numbered;
mod unmatched;
mod whole;
mod wrong;
mod zero_init;

use std::collections::hash_map;

use smallvec::SmallVec;

use super::entries::{Held, StateEntry};
use super::transfer::Transfer;
use crate::entry::{TensorInfo, strip};
use crate::error::{Error, Result};
use crate::hash::{HashMap, HashSet, map_of, set_of};
use crate::options::{LoadOptions, OnMismatch};
use crate::report::{LoadReport, Mismatch, MismatchKind};
use crate::source::{Entry, Index, Lookup, StoredTensor};
use crate::state::{Handle, Keys, OptionalField, StorageKey};

/// The caller's options, and the facts about the state that matching needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) options: LoadOptions,
    /// Every entry of the source belongs to the one object: bare weights.
    pub(crate) whole: bool,
    /// The assumptions about the file that were made before matching, as sentences.
    pub(crate) assumed: Vec<String>,
    /// Parts of the state that hold no entry at present.
    pub(crate) empty: Vec<String>,
    /// The empty parts that are `None`.
    pub(crate) none: Vec<String>,
    /// For each optimizer, what the names of its state begin with.
    pub(crate) states: Vec<Vec<String>>,
    /// The keys of the state at its first level.
    pub(crate) keys: Keys,
    /// The load is of a reader, which knows of no other process.
    pub(crate) by_reader: bool,
    /// Prefixes that the call would remove, and that no name of the file has.
    pub(crate) idle_prefixes: Vec<String>,
}

/// The transfers of a load. Numbers are places among the entries of the state.
#[derive(Debug, Default)]
pub(crate) struct LoadPlan<'i> {
    /// One for each piece of memory.
    pub(crate) transfers: Vec<Transfer<'i>>,
    /// Tensors of the source that must have equal contents, because the state ties them: (entry, one, other).
    pub(crate) equal: Vec<(usize, Named<'i>, Named<'i>)>,
    /// Values, each with its name in the file.
    pub(crate) values: Vec<(usize, &'i str)>,
    /// Values whose absence is a value.
    pub(crate) absent: Vec<usize>,
    /// State that begins at zero.
    pub(crate) zero_init: Vec<usize>,
    /// The entries of the source that are used.
    pub(crate) consumed: HashSet<&'i str>,
    pub(crate) report: LoadReport,
}

/// A tensor of the source, and its name there.
pub(crate) type Named<'i> = (&'i str, &'i StoredTensor);

/// Matches everything with everything, and decides nothing else.
pub(crate) fn plan<'i, 's>(
    entries: &[StateEntry<'i>],
    components: impl FnOnce() -> Vec<&'s str>,
    optionals: &[OptionalField],
    index: &'i Index,
    policy: &Policy,
) -> LoadPlan<'i> {
    let mut matching = Matching::new(entries, index, policy);
    matching.find();
    matching.match_tensors();
    matching.match_values();
    matching.find_zero_init();
    matching.keep_states_whole();
    matching.note_absent(optionals);
    matching.note_unexpected(components);
    matching.finish()
}

/// The outcome of matching for an entry of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The file has its contents.
    Restored,
    /// It begins at zero.
    ZeroInit,
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

/// True if the options of the call ask for an entry.
fn is_asked_for(options: &LoadOptions, entry: &StateEntry<'_>) -> bool {
    let is_below = |handle: &Handle| strip(entry.declared(), &handle.name).is_some();
    let LoadOptions { only, exclude, .. } = options;
    (only.is_empty() || only.iter().any(is_below)) && !exclude.iter().any(is_below)
}

/// Refuses options that leave nothing of the state to restore.
///
/// # Errors
/// If there are entries, and the options ask for none of them.
pub(crate) fn check_not_empty(entries: &[StateEntry<'_>], options: &LoadOptions) -> Result<()> {
    if entries.is_empty() || entries.iter().any(|entry| is_asked_for(options, entry)) {
        return Ok(());
    }
    let options: Vec<&str> = [
        ("LoadOptions::only", &options.only),
        ("LoadOptions::exclude", &options.exclude),
    ]
    .into_iter()
    .filter(|(_, fields)| !fields.is_empty())
    .map(|(option, _)| option)
    .collect();
    Err(Error::Options(format!(
        "{} leaves nothing of the state to restore: name a field that holds entries, or make no load",
        options.join(" with ")
    )))
}

pub(crate) struct Matching<'p, 'i> {
    pub(crate) entries: &'p [StateEntry<'i>],
    pub(crate) index: &'i Index,
    pub(crate) policy: &'p Policy,
    /// For each entry of the state, that of the source.
    pub(crate) found: Vec<Option<Entry<'i>>>,
    /// For each entry of the state that needs no further word, what becomes of it.
    pub(crate) fates: Vec<Option<Fate>>,
    /// The file has an entry of the state that the call does not ask for.
    pub(crate) has_unasked: bool,
    /// Names in the source that belong to some entry of the state.
    pub(crate) known: HashSet<&'i str>,
    pub(crate) plan: LoadPlan<'i>,
}

impl<'p, 'i> Matching<'p, 'i> {
    fn new(entries: &'p [StateEntry<'i>], index: &'i Index, policy: &'p Policy) -> Self {
        Self {
            entries,
            index,
            policy,
            found: vec![None; entries.len()],
            fates: vec![None; entries.len()],
            has_unasked: false,
            known: set_of(entries.len()),
            plan: LoadPlan {
                report: LoadReport {
                    origin: index.origin.clone(),
                    strict: policy.options.strict,
                    assumed: policy.assumed.clone(),
                    ..LoadReport::default()
                },
                consumed: set_of(entries.len()),
                ..LoadPlan::default()
            },
        }
    }

    /// Bare weights are tensors: a value beside them is not looked for.
    pub(crate) fn is_bare_value(&self, entry: &StateEntry<'_>) -> bool {
        self.policy.whole && matches!(entry.held, Held::Value(_))
    }

    /// Looks every entry of the state up under all of its names.
    fn find(&mut self) {
        let mut lookup = Lookup::of(self.index);
        for (at, entry) in self.entries.iter().enumerate() {
            let is_asked_for = is_asked_for(&self.policy.options, entry);
            let takes_part = is_asked_for && !self.is_bare_value(entry);
            if takes_part && !entry.filtered {
                self.take_for_others(entry);
            }
            let mut present: SmallVec<[Entry<'i>; 1]> = entry.names().filter_map(|name| lookup.entry(name)).collect();
            present.dedup_by_key(|stored| stored.name());
            self.known.extend(present.iter().map(|stored| stored.name()));
            present.retain(|stored| !entry.is_not_there_yet(*stored));
            self.has_unasked |= !is_asked_for && !entry.filtered && !present.is_empty();
            if !takes_part {
                self.fates[at] = Some(Fate::Unasked);
            } else if entry.filtered {
                self.fates[at] = Some(Fate::Filtered);
                self.plan.report.filtered.push(entry.name.to_owned());
            } else if present.len() > 1 && !Entry::same_place(&present) {
                let both: Vec<String> = present.iter().map(|stored| format!("`{}`", stored.name())).collect();
                self.refuse(at, MismatchKind::Ambiguous, both.join(" and "), String::new());
            } else {
                self.found[at] = present.first().copied();
            }
        }
    }

    /// A value that another process takes is no remainder here either, whether or not this one has a value itself.
    fn take_for_others(&mut self, entry: &StateEntry<'_>) {
        let taken = entry.own.iter().flat_map(|own| &own.taken);
        let taken = taken.filter_map(|name| self.index.entry(name));
        self.plan.consumed.extend(taken.map(Entry::name));
    }

    fn match_tensors(&mut self) {
        let mut filled: HashMap<&StorageKey, Named<'i>> = map_of(self.entries.len());
        for (at, entry) in self.entries.iter().enumerate() {
            let (Held::Tensor { info, memory, .. }, Some(found)) = (&entry.held, self.found[at]) else {
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
                    self.plan.transfers.extend(Transfer::of(entry, name, stored));
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
        for (at, entry) in self.entries.iter().enumerate() {
            let Held::Tensor { memory, .. } = &entry.held else {
                continue;
            };
            if self.fates[at].is_none() && self.found[at].is_none() && filled.contains_key(memory) {
                self.fates[at] = Some(Fate::Restored);
                self.plan.report.restored.push(entry.name.to_owned());
            }
        }
    }

    fn match_values(&mut self) {
        for (at, entry) in self.entries.iter().enumerate() {
            let (Held::Value(_) | Held::Optimizer { .. }, Some(found)) = (&entry.held, self.found[at]) else {
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
            self.plan.report.restored.push(self.entries[at].name.to_owned());
        }
        self.plan.consumed.insert(stored_name);
    }

    fn refuse(&mut self, at: usize, kind: MismatchKind, found: String, expected: String) {
        let skipped = kind == MismatchKind::Shape && self.policy.options.on_mismatch == OnMismatch::Skip;
        self.fates[at] = Some(if skipped { Fate::Skipped } else { Fate::Refused });
        self.plan.report.mismatched.push(Mismatch {
            name: self.entries[at].name.to_owned(),
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
