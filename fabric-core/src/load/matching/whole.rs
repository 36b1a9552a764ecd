//! Keeps the optimizer state of a parameter together. Moments without their step count, or a step count without
//! moments, would train as neither the saved run nor a new one.
//!
//! The state of a parameter is restored completely or not at all. If the call skips a part of it, all of it begins at
//! zero. If the file lacks a part of it, or a filter skips a part, all of it stays unchanged.

use super::{Fate, Matching};
use crate::hash::HashSet;
use crate::load::entries::StateEntry;

impl Matching<'_, '_> {
    /// Gives all optimizer state of each parameter one outcome.
    pub(crate) fn keep_states_whole(&mut self) {
        let mut taken_back = HashSet::default();
        let mut first = 0;
        while first < self.entries.len() {
            let Some(state) = self.entries[first].state_of else {
                first += 1;
                continue;
            };
            let same = |entry: &StateEntry<'_>| entry.state_of == Some(state);
            let count = self.entries[first..].iter().take_while(|entry| same(entry)).count();
            let places = first..first + count;
            first = places.end;
            let has = |fate: Option<Fate>| self.fates[places.clone()].contains(&fate);
            if has(Some(Fate::Refused)) {
                // The load is refused anyway.
            } else if has(Some(Fate::Skipped)) {
                for at in places {
                    taken_back.insert(at);
                    self.fates[at] = Some(Fate::ZeroInit);
                    self.plan.zero_init.push(at);
                    self.plan.report.begun_anew.push(self.entries[at].name.to_owned());
                }
            } else if has(None) || has(Some(Fate::Filtered)) {
                let filtered = has(Some(Fate::Filtered));
                for at in places {
                    if self.fates[at] != Some(Fate::Restored) {
                        continue;
                    }
                    taken_back.insert(at);
                    self.fates[at] = Some(Fate::Withheld);
                    let report = &mut self.plan.report;
                    let names = if filtered {
                        &mut report.filtered
                    } else {
                        &mut report.withheld
                    };
                    names.push(self.entries[at].name.to_owned());
                }
            }
        }
        if !taken_back.is_empty() {
            self.take_back(&taken_back);
        }
    }

    /// Removes the entries at these positions from the plan.
    fn take_back(&mut self, places: &HashSet<usize>) {
        let names: HashSet<&str> = places.iter().map(|&at| self.entries[at].name).collect();
        let plan = &mut self.plan;
        plan.report.restored.retain(|name| !names.contains(name.as_str()));
        plan.transfers.retain(|transfer| !names.contains(transfer.name));
        plan.equal.retain(|(at, ..)| !places.contains(at));
        plan.values.retain(|(at, _)| !places.contains(at));
        for found in places.iter().filter_map(|&at| self.found[at]) {
            plan.consumed.remove(found.name());
        }
    }
}
