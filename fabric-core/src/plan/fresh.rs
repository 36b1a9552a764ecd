//! State that PyTorch does not write because there is none yet: of a parameter that never had a gradient, or of SGD's
//! momentum before its first step. Absence means zero there, as it does when PyTorch loads such a file.

use super::load::{Matching, Wanted};
use crate::entry::strip;
use crate::hash::HashSet;
use crate::source::Entry;

impl Wanted<'_> {
    /// Whether an entry of the source stands for state that is not there yet.
    pub(super) fn is_not_there_yet(&self, stored: Entry<'_>) -> bool {
        self.fresh.is_some() && matches!(stored, Entry::Value(_, value) if value.is_null())
    }
}

impl Matching<'_, '_> {
    /// Finds the parameters without any state in the file. If the file has state that belongs to no parameter, its
    /// names may be others than expected, and nothing is assumed.
    pub(super) fn find_fresh(&mut self) {
        for (optimizer, prefixes) in self.policy.foreign.iter().enumerate() {
            let of_it = |at: &usize| matches!(self.wanted[*at].fresh, Some((of, _)) if of == optimizer);
            let places: Vec<usize> = (0..self.wanted.len()).filter(of_it).collect();
            if places.is_empty() || self.has_strangers(prefixes) {
                continue;
            }
            let parameter = |at: usize| self.wanted[at].fresh.map(|(_, parameter)| parameter);
            let begun: HashSet<_> = places
                .iter()
                .filter(|&&at| self.found[at].is_some())
                .map(|&at| parameter(at))
                .collect();
            for at in places.into_iter().filter(|&at| !begun.contains(&parameter(at))) {
                if !self.settled[at] {
                    self.settled[at] = true;
                    self.plan.fresh.push(at);
                    self.plan.report.restored.push(self.wanted[at].name.to_owned());
                }
            }
        }
    }

    fn has_strangers(&self, prefixes: &[String]) -> bool {
        let below = |name: &str| prefixes.iter().any(|prefix| strip(name, prefix).is_some());
        let nothing = |name: &str| self.index.values.get(name).is_some_and(crate::Value::holds_nothing);
        self.index
            .names()
            .any(|name| below(name) && !self.known.contains(name) && !nothing(name))
    }
}
