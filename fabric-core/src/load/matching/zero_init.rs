//! Recognizes state that PyTorch had not created when it saved: that of a parameter without any gradient, or SGD's
//! momentum before the first step. The absence means zero, as in PyTorch's own loader.

use super::{Fate, Matching};
use crate::entry::strip;
use crate::hash::HashSet;
use crate::load::entries::StateEntry;
use crate::source::Entry;
use crate::value::Value;

impl StateEntry<'_> {
    /// Returns true if an entry of the file, a `None`, stands for optimizer state that had not been created.
    pub(crate) fn is_not_there_yet(&self, stored: Entry<'_>) -> bool {
        let may_be_absent = self.state_of.is_some_and(|state| state.may_be_absent);
        may_be_absent && matches!(stored, Entry::Value(_, value) if value.is_null())
    }
}

impl Matching<'_, '_> {
    /// Finds the parameters without any state in the file. If the file has state that belongs to no parameter, its
    /// names may differ from the expected ones, and the search assumes nothing.
    pub(crate) fn find_zero_init(&mut self) {
        for (optimizer, prefixes) in self.policy.states.iter().enumerate() {
            let parameter = |at: usize| {
                let state = self.entries[at].state_of.filter(|state| state.may_be_absent)?;
                (state.optimizer == optimizer).then_some(state.parameter)
            };
            let places: Vec<(usize, usize)> = (0..self.entries.len())
                .filter_map(|at| Some((at, parameter(at)?)))
                .collect();
            if places.is_empty() || self.has_strangers(prefixes) {
                continue;
            }
            let begun: HashSet<usize> = places
                .iter()
                .filter(|(at, _)| self.found[*at].is_some())
                .map(|(_, parameter)| *parameter)
                .collect();
            for (at, parameter) in places {
                if !begun.contains(&parameter) && self.fates[at].is_none() {
                    self.fates[at] = Some(Fate::ZeroInit);
                    self.plan.zero_init.push(at);
                    self.plan.report.restored.push(self.entries[at].name.to_owned());
                }
            }
        }
    }

    fn has_strangers(&self, prefixes: &[String]) -> bool {
        let below = |name: &str| prefixes.iter().any(|prefix| strip(name, prefix).is_some());
        let nothing = |name: &str| self.index.values.get(name).is_some_and(Value::holds_nothing);
        self.index
            .names()
            .any(|name| below(name) && !self.known.contains(name) && !nothing(name))
    }
}
