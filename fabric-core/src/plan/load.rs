//! Matches the entries of a state with those of a source: one report of all findings, and what to move if it is
//! acceptable.

use std::collections::hash_map;

use smallvec::SmallVec;

pub(crate) use super::wanted::{Absence, PerRank, Wanted, WantedKind};
use crate::entry::{TensorInfo, of_rank, root, strip, without_rank};
use crate::hash::{HashMap, HashSet, set_of};
use crate::options::{LoadOptions, OnMismatch};
use crate::report::{LoadReport, Mismatch, MismatchKind};
use crate::source::{Entry, Index, StoredTensor};
use crate::state::StorageKey;

/// What the caller allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) options: LoadOptions,
    /// Every entry of the source belongs to the one object: bare weights.
    pub(crate) whole: bool,
    /// For each optimizer, what the names of its state begin with, if the file is not one of ours.
    pub(crate) foreign: Vec<Vec<String>>,
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
pub(crate) fn plan<'i>(
    wanted: &[Wanted<'_>],
    components: &[String],
    index: &'i Index,
    policy: &Policy,
) -> LoadPlan<'i> {
    let mut matching = Matching::new(wanted, index, policy);
    matching.find();
    matching.match_tensors();
    matching.match_values();
    matching.find_fresh();
    matching.note_absent();
    matching.note_unexpected(components);
    matching.finish()
}

pub(super) struct Matching<'p, 'i> {
    pub(super) wanted: &'p [Wanted<'p>],
    pub(super) index: &'i Index,
    pub(super) policy: &'p Policy,
    /// For each wanted entry, that of the source.
    pub(super) found: Vec<Option<Entry<'i>>>,
    /// Wanted entries that need no further word: found, or known not to fit.
    pub(super) settled: Vec<bool>,
    /// Names in the source that belong to some wanted entry.
    pub(super) known: HashSet<&'i str>,
    pub(super) plan: LoadPlan<'i>,
}

impl<'p, 'i> Matching<'p, 'i> {
    fn new(wanted: &'p [Wanted<'p>], index: &'i Index, policy: &'p Policy) -> Self {
        Self {
            wanted,
            index,
            policy,
            found: vec![None; wanted.len()],
            settled: vec![false; wanted.len()],
            known: set_of(wanted.len()),
            plan: LoadPlan {
                report: LoadReport {
                    origin: index.origin.clone(),
                    strict: policy.options.strict,
                    ..LoadReport::default()
                },
                ..LoadPlan::default()
            },
        }
    }

    fn takes_part(&self, wanted: &Wanted<'_>) -> bool {
        let only = &self.policy.options.only;
        let asked = only.is_empty() || only.iter().any(|prefix| strip(wanted.declared(), prefix).is_some());
        // Bare weights are tensors: a value beside them is not looked for.
        let bare_value = self.policy.whole && matches!(wanted.kind, WantedKind::Value { optimizer: false, .. });
        asked && !bare_value
    }

    /// Looks every wanted entry up under all of its names.
    fn find(&mut self) {
        for (at, wanted) in self.wanted.iter().enumerate() {
            let takes_part = self.takes_part(wanted);
            if takes_part && !wanted.filtered {
                self.take_for_others(wanted);
            }
            let mut present: SmallVec<[Entry<'i>; 1]> =
                wanted.names().filter_map(|name| self.index.entry(name)).collect();
            present.dedup_by_key(|entry| entry.name());
            self.known.extend(present.iter().map(|entry| entry.name()));
            present.retain(|entry| !wanted.is_not_there_yet(*entry));
            if !takes_part {
                self.settled[at] = true;
            } else if wanted.filtered {
                self.settled[at] = true;
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
        let mut filled: HashMap<&StorageKey, Named<'i>> = HashMap::default();
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
        let castable = self.policy.options.cast && found.dtype().widened().is_some();
        if found.dtype() != expected.dtype() && !castable {
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
            if !self.settled[at] && self.found[at].is_none() && filled.contains_key(memory) {
                self.settled[at] = true;
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
        if !self.settled[at] {
            self.settled[at] = true;
            self.plan.report.restored.push(self.wanted[at].name.to_owned());
        }
        self.plan.consumed.insert(stored_name);
    }

    fn refuse(&mut self, at: usize, kind: MismatchKind, found: String, expected: String) {
        self.settled[at] = true;
        self.plan.report.mismatched.push(Mismatch {
            name: self.wanted[at].name.to_owned(),
            kind,
            found,
            expected,
            skipped: kind == MismatchKind::Shape && self.policy.options.on_mismatch == OnMismatch::Skip,
        });
    }

    /// Says of everything that the file lacks whether that is meant, allowed or missing.
    fn note_absent(&mut self) {
        let groups = self.wanted.iter().zip(&self.found);
        let started: HashSet<usize> = groups
            .filter_map(|(wanted, found)| found.as_ref().and(wanted.optional))
            .collect();
        for (at, wanted) in self.wanted.iter().enumerate() {
            if self.settled[at] {
                continue;
            }
            let mut names = wanted.names();
            let report = &mut self.plan.report;
            if names.any(|name| self.index.filtered.contains(name)) {
                report.filtered.push(wanted.name.to_owned());
                report.filtered_at_save.push(wanted.name.to_owned());
            } else if wanted.optional.is_some_and(|group| !started.contains(&group)) {
                // The field is optional and nothing of it is in the file.
            } else {
                match wanted.kind {
                    WantedKind::Value {
                        absence: Absence::Fine, ..
                    } => {}
                    WantedKind::Value {
                        absence: Absence::Meant,
                        ..
                    } => {
                        if !self.index.tensors_only {
                            self.plan.absent.push(at);
                        }
                    }
                    _ => report.missing.push(wanted.name.to_owned()),
                }
            }
        }
    }

    /// Entries of the source, below what was asked for, that belong to no entry of the state.
    fn note_unexpected(&mut self, components: &[String]) {
        let aliases = self
            .wanted
            .iter()
            .flat_map(|wanted| wanted.alternatives)
            .map(|name| root(name));
        let roots: HashSet<&str> = components.iter().map(String::as_str).chain(aliases).collect();
        let only = self.only();
        let asked = |name: &str| {
            if only.is_empty() {
                self.policy.whole || roots.contains(root(name))
            } else {
                only.iter().any(|prefix| strip(name, prefix).is_some())
            }
        };
        let own = self.wanted.iter().filter_map(|wanted| wanted.per_rank);
        let own: HashSet<&str> = own.flat_map(|own| &own.names).map(String::as_str).collect();
        let of_another_rank =
            |name: &str| own.contains(name) || without_rank(name).is_some_and(|(name, _)| own.contains(name));
        let strangers = self.index.names().filter(|name| {
            !self.known.contains(*name) && asked(name) && !self.holds_nothing(name) && !of_another_rank(name)
        });
        let (ignored, unexpected) = strangers
            .map(str::to_owned)
            .partition(|name| self.has_no_counterpart(name));
        (self.plan.report.ignored, self.plan.report.unexpected) = (ignored, unexpected);
    }

    /// Whether an entry is Python's `None`, or an empty dict: nothing that a state could lack.
    fn holds_nothing(&self, name: &str) -> bool {
        self.index.values.get(name).is_some_and(crate::Value::holds_nothing)
    }

    /// PyTorch's `BatchNorm` counts its batches beside the running statistics; candle's does not.
    fn has_no_counterpart(&self, name: &str) -> bool {
        let norm = name.strip_suffix("num_batches_tracked");
        norm.is_some_and(|norm| self.known.contains(format!("{norm}running_mean").as_str()))
    }

    /// What the load is restricted to: the names of fields, and their names in older files.
    fn only(&self) -> HashSet<&'p str> {
        let only = &self.policy.options.only;
        let mut names: HashSet<&str> = only.iter().map(String::as_str).collect();
        for wanted in self.wanted {
            for rest in only.iter().filter_map(|prefix| strip(wanted.name, prefix)) {
                let field = |name: &'p String| match rest {
                    "" => Some(name.as_str()),
                    rest => name.strip_suffix(rest)?.strip_suffix('.'),
                };
                names.extend(wanted.alternatives.iter().filter_map(field));
            }
        }
        names
    }

    fn finish(mut self) -> LoadPlan<'i> {
        self.plan.report.suggestions = self.suggestions();
        self.plan.report.hint = self.hint();
        let report = &self.plan.report;
        if self.policy.whole
            && report.restored.is_empty()
            && report.mismatched.iter().all(|found| found.skipped)
            && !self.wanted.is_empty()
        {
            self.plan.report.wrong_file = Some(self.index.summary());
        }
        self.plan.report.sort();
        self.plan
    }

    /// For each missing entry the nearest unused name of the source, if one is near.
    fn suggestions(&self) -> Vec<(String, String)> {
        const NEAR: f64 = 0.8;
        const MOST: usize = 1 << 20;
        if self.plan.report.missing.is_empty() {
            return Vec::new();
        }
        let unused: Vec<&str> = self.index.names().filter(|name| !self.known.contains(*name)).collect();
        let missing = &self.plan.report.missing;
        if unused.len().saturating_mul(missing.len()) > MOST {
            return Vec::new();
        }
        let nearest = |name: &String| {
            let scored = unused
                .iter()
                .map(|other| (strsim::normalized_damerau_levenshtein(name, other), *other));
            let (score, other) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
            (score >= NEAR).then(|| (name.clone(), other.to_owned()))
        };
        missing.iter().filter_map(nearest).collect()
    }
}
