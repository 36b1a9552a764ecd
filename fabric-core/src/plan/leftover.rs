//! What is left when everything has been matched: entries that only the state has, and entries that only the source has.

use super::load::Matching;
use super::wanted::{Absence, WantedKind};
use crate::entry::{root, strip, without_rank};
use crate::hash::HashSet;

impl<'p> Matching<'p, '_> {
    /// Says of everything that the file lacks whether that is meant, allowed or missing.
    pub(super) fn note_absent(&mut self) {
        let groups = self.wanted.iter().zip(&self.found);
        let started: HashSet<usize> = groups
            .filter_map(|(wanted, found)| found.as_ref().and(wanted.optional))
            .collect();
        for (at, wanted) in self.wanted.iter().enumerate() {
            if self.fates[at].is_some() {
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
    pub(super) fn note_unexpected<'s>(&mut self, components: impl FnOnce() -> Vec<&'s str>) {
        if self.known.len() == self.index.len() {
            // As most often: every entry belongs to one of the state.
            return;
        }
        let components = components();
        let aliases = self
            .wanted
            .iter()
            .flat_map(|wanted| wanted.alternatives)
            .map(|name| root(name));
        let roots: HashSet<&str> = components.into_iter().chain(aliases).collect();
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
}
