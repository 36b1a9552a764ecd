//! A file with the state of an optimizer of another kind, where the call accepts that.

use std::collections::BTreeMap;

use super::{Fate, Matching};
use crate::entry::strip;
use crate::load::entries::{EntryTarget, StateEntry};
use crate::source::Entry;
use crate::state::OptimizerPart;

impl Matching<'_, '_> {
    /// Decides for the optimizers whose kind in the file is another one: the state of a parameter is restored if the file has all of
    /// it, under the same names and in the same shapes, and begins anew otherwise. The hyper-parameters stay.
    pub(crate) fn accept_other_optimizers(&mut self) {
        if !self.policy.options.change_optimizer {
            return;
        }
        for optimizer in 0..self.policy.kinds.len() {
            if self.has_another_kind(optimizer) {
                self.accept_other_optimizer(optimizer);
            }
        }
    }

    fn has_another_kind(&self, optimizer: usize) -> bool {
        let is_kind = |entry: &StateEntry<'_>| is_part(entry, optimizer, OptimizerPart::Kind);
        let at = self.entries.iter().position(is_kind);
        let found = at.and_then(|at| self.found[at]);
        let Some(Entry::Value(_, value)) = found else {
            return false;
        };
        value
            .decode::<String>()
            .is_ok_and(|kind| kind != self.policy.kinds[optimizer])
    }

    fn accept_other_optimizer(&mut self, optimizer: usize) {
        let mut parameters: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, entry) in self.entries.iter().enumerate() {
            if self.fates[at].is_some() {
                continue;
            }
            if is_part(entry, optimizer, OptimizerPart::Kind) || is_part(entry, optimizer, OptimizerPart::Groups) {
                self.leave(at, Fate::Kept);
            } else if let Some(state) = entry.state_of.filter(|state| state.optimizer == optimizer) {
                parameters.entry(state.parameter).or_default().push(at);
            }
        }
        for places in parameters.into_values() {
            if places.iter().all(|&at| self.fits_other(at)) {
                continue;
            }
            for at in places {
                self.leave(at, Fate::ZeroInit);
                self.plan.zero_init.push(at);
                self.plan.report.begun_anew.push(self.entries[at].name.to_owned());
            }
        }
        self.ignore_other_state(optimizer);
    }

    /// Returns true if the file has contents of the right shape and type for an entry.
    fn fits_other(&self, at: usize) -> bool {
        match (&self.entries[at].held, self.found[at]) {
            (EntryTarget::Tensor { info, .. }, Some(Entry::Tensor(name, stored))) => {
                let has_shape = stored.info.shape() == info.shape() || self.is_resized(info, (name, stored));
                has_shape && self.has_type(info, (name, stored))
            }
            (EntryTarget::Optimizer { .. }, Some(Entry::Value(..))) => true,
            _ => false,
        }
    }

    /// Decides that an entry does not take what the file has for it.
    fn leave(&mut self, at: usize, fate: Fate) {
        if let Some(found) = self.found[at].take() {
            self.plan.consumed.insert(found.name());
        }
        self.fates[at] = Some(fate);
        if fate == Fate::Kept {
            self.plan.report.kept.push(self.entries[at].name.to_owned());
        }
    }

    /// The state of the other optimizer that this one has no place for is no mistake.
    fn ignore_other_state(&mut self, optimizer: usize) {
        let states = &self.policy.states[optimizer];
        let is_state = |name: &&str| states.iter().any(|state| strip(name, state).is_some());
        let names = self.index.names().filter(is_state);
        let strangers: Vec<_> = names.filter(|name| !self.known.contains(name)).collect();
        for name in strangers {
            self.known.insert(name);
            self.plan.consumed.insert(name);
            self.plan.report.ignored.push(name.to_owned());
        }
    }
}

fn is_part(entry: &StateEntry<'_>, number: usize, wanted: OptimizerPart) -> bool {
    matches!(entry.held, EntryTarget::Optimizer { optimizer, part } if optimizer == number && part == wanted)
}
