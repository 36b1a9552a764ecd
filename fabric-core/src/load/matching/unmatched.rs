//! Entries without a counterpart: those of the state that the file lacks, and those of the file that the state lacks.

use super::Matching;
use crate::entry::{root, strip, without_rank};
use crate::hash::HashSet;
use crate::load::entries::Absence;
use crate::options::LoadOptions;
use crate::state::{FieldNames, OptionalField, Part};
use crate::value::Value;

impl Matching<'_, '_> {
    /// Decides for every entry that the file lacks whether its absence is allowed, means `None` or the default of the field, or is
    /// an error.
    pub(crate) fn note_absent(&mut self, optionals: &[OptionalField]) {
        let there = self.optionals_there(optionals);
        for (at, entry) in self.entries.iter().enumerate() {
            if self.fates[at].is_some() {
                continue;
            }
            let mut names = entry.names();
            let report = &mut self.plan.report;
            if names.any(|name| self.index.filtered.contains(name)) {
                report.filtered.push(entry.name.to_owned());
                report.filtered_at_save.push(entry.name.to_owned());
            } else if entry.optional.is_some_and(|field| !there[field]) {
                // The field is optional, and the file has no entry of it.
            } else {
                match entry.absence() {
                    Absence::Fine => {}
                    Absence::Meant | Absence::Tensorless if self.index.tensors_only => {}
                    Absence::Meant | Absence::Default => self.plan.absent.push(at),
                    Absence::Missing | Absence::Tensorless => report.missing.push(entry.name.to_owned()),
                }
            }
        }
    }

    /// Returns `true` for each optional field of which the file has at least one entry. An entry of an inner field
    /// shows that the fields around it are in the file, too.
    fn optionals_there(&self, optionals: &[OptionalField]) -> Vec<bool> {
        let mut there = vec![false; optionals.len()];
        let found = self.entries.iter().zip(&self.found);
        for field in found.filter_map(|(entry, found)| found.as_ref().and(entry.optional)) {
            there[field] = true;
        }
        for (field, optional) in optionals.iter().enumerate() {
            there[field] |= optional.names.iter().any(|name| self.has_below(name));
        }
        // A field comes after the fields around it, so the reverse order visits inner fields first.
        for (field, optional) in optionals.iter().enumerate().rev() {
            if let Some(around) = optional.around.filter(|_| there[field]) {
                there[around] = true;
            }
        }
        there
    }

    /// Returns true if the file has an entry of this name or below it that holds something and is not the value of
    /// another rank.
    fn has_below(&self, name: &str) -> bool {
        let is_own = |entry: &str| self.known.contains(entry) || !self.plan.consumed.contains(entry);
        let mut entries = self.index.names_below(name);
        entries.any(|entry| is_own(entry) && !self.holds_nothing(entry))
    }

    /// Reports the entries of the file, within the part that the call loads, that belong to no entry of the state.
    pub(crate) fn note_unexpected<'s>(&mut self, components: impl FnOnce() -> Vec<&'s str>) {
        if self.known.len() == self.index.len() {
            // In most loads every entry of the file belongs to one of the state.
            return;
        }
        let roots: HashSet<&str> = components().into_iter().collect();
        let LoadOptions { only, exclude, .. } = &self.policy.options;
        let FieldNames {
            claimed,
            only: only_by_alias,
            excluded: excluded_by_alias,
        } = &self.policy.fields;
        let (only, exclude) = (names_of(only, only_by_alias), names_of(exclude, excluded_by_alias));
        let is_below = |name: &str, fields: &HashSet<&str>| fields.iter().any(|field| strip(name, field).is_some());
        let is_claimed = |name: &str| claimed.iter().any(|alias| strip(name, alias).is_some());
        let belongs = |name: &str| {
            self.policy.whole || roots.contains(root(name)) || self.policy.keys.claims(name) || is_claimed(name)
        };
        let asked = |name: &str| {
            let asked = if only.is_empty() {
                belongs(name)
            } else {
                is_below(name, &only)
            };
            asked && !is_below(name, &exclude)
        };
        let own = self.entries.iter().filter_map(|entry| entry.own);
        let own: HashSet<&str> = own.flat_map(|own| &own.declared).map(String::as_str).collect();
        let of_another_rank =
            |name: &str| own.contains(name) || without_rank(name).is_some_and(|(name, _)| own.contains(name));
        let strangers = self.index.names().filter(|name| {
            !self.known.contains(*name) && asked(name) && !self.holds_nothing(name) && !of_another_rank(name)
        });
        let (ignored, unexpected): (Vec<_>, Vec<_>) = strangers
            .map(str::to_owned)
            .partition(|name| self.has_no_counterpart(name));
        self.plan.report.ignored.extend(ignored);
        self.plan.report.unexpected = unexpected;
    }

    /// Returns true for Python's `None` and for an empty dict, which no state lacks.
    fn holds_nothing(&self, name: &str) -> bool {
        self.index.values.get(name).is_some_and(Value::holds_nothing)
    }

    /// Returns true for the batch counter that PyTorch's `BatchNorm` has beside its running statistics. Candle's has
    /// none.
    fn has_no_counterpart(&self, name: &str) -> bool {
        let norm = name.strip_suffix("num_batches_tracked");
        norm.is_some_and(|norm| self.known.contains(format!("{norm}running_mean").as_str()))
    }
}

/// The names in a file of the parts that a call names: the declared names, and those by aliases.
fn names_of<'p>(parts: &'p [Part], by_alias: &'p HashSet<String>) -> HashSet<&'p str> {
    let declared = parts.iter().map(|part| part.name.as_str());
    declared.chain(by_alias.iter().map(String::as_str)).collect()
}
