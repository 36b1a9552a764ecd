//! Matches the entries of a state with those of a file, without I/O. The result is a report of all findings, and, for
//! an accepted load, the list of transfers.

mod advice;
mod declared;
pub(crate) mod numbered;
mod other_optimizer;
pub(crate) mod resized;
mod unmatched;
mod whole;
mod wrong;
mod zero_init;

use std::collections::hash_map;

use smallvec::SmallVec;

pub(crate) use self::declared::check_declared;
use self::resized::Resized;
use super::entries::{EntryTarget, StateEntry};
use super::transfer::Transfer;
use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::hash::{HashMap, HashSet, map_of, set_of};
use crate::options::{LoadOptions, OnMismatch};
use crate::report::{LoadReport, MigratedEntry, Mismatch, MismatchKind};
use crate::source::{Entry, Index, StoredTensor};
use crate::state::{FieldNames, Keys, OptionalField, StorageKey};

/// The caller's options, and the facts about the state that matching needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) options: LoadOptions,
    /// Every entry of the file belongs to one module or optimizer: bare weights.
    pub(crate) whole: bool,
    /// The assumptions about the file that were made before the match, as sentences.
    pub(crate) assumed: Vec<String>,
    /// Parts of the state that hold no entry.
    pub(crate) empty: Vec<String>,
    /// The empty parts that are `None`.
    pub(crate) none: Vec<String>,
    /// For each optimizer, the prefixes of the names of its state.
    pub(crate) states: Vec<Vec<String>>,
    /// For each optimizer, its kind.
    pub(crate) kinds: Vec<&'static str>,
    /// The keys at the first level of the state.
    pub(crate) keys: Keys,
    /// The names in the file of fields with aliases.
    pub(crate) fields: FieldNames,
    /// The call is one of a `RawCheckpoint`, which does not know other processes.
    pub(crate) by_reader: bool,
    /// The prefixes that the call would remove, and that no name of the file begins with.
    pub(crate) idle_prefixes: Vec<String>,
}

/// The result of a match. Numbers are positions among the entries of the state.
#[derive(Debug, Default)]
pub(super) struct LoadPlan<'i> {
    /// The transfers, one for each piece of memory.
    pub(crate) transfers: Vec<Transfer<'i>>,
    /// Pairs of tensors in the file that must have equal contents, because the state ties them: (entry, one, other).
    pub(crate) equal: Vec<(usize, Named<'i>, Named<'i>)>,
    /// Positions of values, each with the name in the file.
    pub(crate) values: Vec<(usize, &'i str)>,
    /// Positions of values that become `None`, or the default of their field, because the file lacks them.
    pub(crate) absent: Vec<usize>,
    /// Tensors of another shape than in the file, of which the common box is restored.
    pub(crate) resized: Vec<Resized<'i>>,
    /// Positions of optimizer state that is filled with zeros.
    pub(crate) zero_init: Vec<usize>,
    /// The entries of the file that the load uses.
    pub(crate) consumed: HashSet<&'i str>,
    pub(crate) report: LoadReport,
}

/// A tensor of the file, with its name.
pub(crate) type Named<'i> = (&'i str, &'i StoredTensor);

/// Matches all entries, and changes nothing.
pub(crate) fn plan<'i, 's>(
    entries: &[StateEntry<'i>],
    components: impl FnOnce() -> Vec<&'s str>,
    optionals: &[OptionalField],
    index: &'i Index,
    policy: &Policy,
) -> LoadPlan<'i> {
    let mut matching = Matching::new(entries, index, policy);
    matching.find();
    matching.accept_other_optimizers();
    matching.match_tensors();
    matching.match_values();
    matching.find_zero_init();
    matching.find_declared_absent();
    matching.keep_states_whole();
    matching.note_absent(optionals);
    matching.note_unexpected(components);
    matching.finish()
}

/// The outcome of the match for an entry of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The file has contents for the entry.
    Restored,
    /// The entry is filled with zeros.
    ZeroInit,
    /// The file has contents that do not fit; the load is refused.
    Refused,
    /// The file has contents that do not fit, and the call skips such entries.
    Skipped,
    /// The schema's own filter skips the entry.
    Filtered,
    /// The state keeps the entry: a recipe says that older files lack it, or an optimizer keeps its hyper-parameters.
    Kept,
    /// The options `only` and `exclude` skip the entry.
    Unasked,
    /// The file has contents for this optimizer state, and lacks other state of the parameter; all state of the
    /// parameter stays unchanged.
    Withheld,
}

/// The entries that a recipe has made or moved.
fn migrated_entries(index: &Index) -> Vec<MigratedEntry> {
    let made = index.edits.origins.iter();
    made.map(|(name, origin)| MigratedEntry::new(name, &origin.from, &origin.words))
        .collect()
}

/// Returns true if the options of the call ask for an entry.
fn is_asked_for(options: &LoadOptions, entry: &StateEntry<'_>) -> bool {
    options.asks_for(entry.declared())
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

pub(super) struct Matching<'p, 'i> {
    pub(crate) entries: &'p [StateEntry<'i>],
    pub(crate) index: &'i Index,
    pub(crate) policy: &'p Policy,
    /// For each entry of the state, the entry of the file.
    pub(crate) found: Vec<Option<Entry<'i>>>,
    /// For each entry of the state, its outcome; `None` until it is decided.
    pub(crate) fates: Vec<Option<Fate>>,
    /// The file has an entry of the state that the options `only` and `exclude` skip.
    pub(crate) has_unasked: bool,
    /// The names in the file that belong to an entry of the state.
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
                    assumed: [&policy.assumed[..], &index.edits.notes].concat(),
                    migrated: migrated_entries(index),
                    ..LoadReport::default()
                },
                consumed: set_of(entries.len()),
                ..LoadPlan::default()
            },
        }
    }

    /// Returns true for a value in a load of bare weights, which contain tensors only.
    pub(crate) fn is_bare_value(&self, entry: &StateEntry<'_>) -> bool {
        self.policy.whole && matches!(entry.held, EntryTarget::Value(_))
    }

    /// Looks up every entry of the state under all of its names.
    fn find(&mut self) {
        for (at, entry) in self.entries.iter().enumerate() {
            let is_asked_for = is_asked_for(&self.policy.options, entry);
            let takes_part = is_asked_for && !self.is_bare_value(entry);
            if takes_part && !entry.filtered {
                self.take_for_others(entry);
            }
            let mut present: SmallVec<[Entry<'i>; 1]> =
                entry.names().filter_map(|name| self.index.entry(name)).collect();
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

    /// Marks a value of another process as used, so that it is not in the remainder, whether or not this process has
    /// such a value.
    fn take_for_others(&mut self, entry: &StateEntry<'_>) {
        let taken = entry.own.iter().flat_map(|own| &own.taken);
        let taken = taken.filter_map(|name| self.index.entry(name));
        self.plan.consumed.extend(taken.map(Entry::name));
    }

    fn match_tensors(&mut self) {
        let mut filled: HashMap<&StorageKey, Named<'i>> = map_of(self.entries.len());
        for (at, entry) in self.entries.iter().enumerate() {
            let (EntryTarget::Tensor { info, memory, .. }, Some(found)) = (&entry.held, self.found[at]) else {
                continue;
            };
            let (name, stored) = match found {
                Entry::Tensor(name, stored) => (name, stored),
                Entry::Value(_, value) => {
                    self.refuse(at, MismatchKind::Type, value.describe(), format!("a tensor, {info}"));
                    continue;
                }
            };
            let is_resized = self.is_resized(info, (name, stored));
            if !is_resized && !self.fits(at, info, (name, stored)) {
                continue;
            }
            match filled.entry(memory) {
                hash_map::Entry::Occupied(first) => {
                    let first = *first.get();
                    self.check_tie(at, first, (name, stored));
                }
                hash_map::Entry::Vacant(place) => {
                    place.insert((name, stored));
                    if !is_resized {
                        self.plan.transfers.extend(Transfer::of(entry, name, stored));
                    } else if let Err(error) = self.restore_common(at, info, (name, stored)) {
                        self.refuse(at, MismatchKind::Shape, stored.info.to_string(), error.to_string());
                        continue;
                    }
                }
            }
            self.restore(at, name);
        }
        self.fill_through_ties(&filled);
    }

    /// Returns true for a tensor that grew or shrank, if the call asks for the common box of those.
    pub(super) fn is_resized(&self, info: &TensorInfo, (name, stored): Named<'i>) -> bool {
        let (found, own) = (stored.info.shape(), info.shape());
        let is_asked_for = self.policy.options.on_mismatch == OnMismatch::Overlap;
        is_asked_for && found != own && found.len() == own.len() && self.has_type(info, (name, stored))
    }

    /// Returns true if the element types are equal, or are converted.
    pub(super) fn has_type(&self, info: &TensorInfo, (name, stored): Named<'i>) -> bool {
        let found = self.index.edits.dtype(name).unwrap_or(stored.info.dtype());
        let castable = self.policy.options.cast && found.widened().is_some();
        found == info.dtype() || castable
    }

    fn fits(&mut self, at: usize, info: &TensorInfo, (name, stored): Named<'i>) -> bool {
        let (found, expected) = (self.index.edits.casts.get(name).unwrap_or(&stored.info), info);
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

    /// Checks two names of one piece of memory. The file must have equal contents for both.
    fn check_tie(&mut self, at: usize, first: Named<'i>, second: Named<'i>) {
        match first.1.same_contents(second.1) {
            Some(true) => {}
            Some(false) => self.refuse(at, MismatchKind::Tied, "contents".into(), format!("`{}`", first.0)),
            None => self.plan.equal.push((at, first, second)),
        }
    }

    /// An entry that the file lacks counts as restored if it shares its memory with an entry that the file has.
    fn fill_through_ties(&mut self, filled: &HashMap<&StorageKey, Named<'i>>) {
        for (at, entry) in self.entries.iter().enumerate() {
            let EntryTarget::Tensor { memory, .. } = &entry.held else {
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
            let (EntryTarget::Value(_) | EntryTarget::Optimizer { .. }, Some(found)) = (&entry.held, self.found[at])
            else {
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
