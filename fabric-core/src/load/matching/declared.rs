//! Entries of the state that a recipe declares as absent from the file: those that begin at zero, and those that stay.

use super::{Fate, Matching};
use crate::entry::{join, strip};
use crate::error::Result;
use crate::hash::HashSet;
use crate::load::entries::{EntryTarget, StateEntry};
use crate::source::{Declared, Edits};

/// Checks that the state has the entries that recipes declare, and that those which begin at zero are tensors. `states` are the levels
/// of the optimizers' state.
///
/// # Errors
/// [`Error::Migration`](crate::Error::Migration).
pub(crate) fn check_declared(entries: &[StateEntry<'_>], states: &[Vec<String>], edits: &Edits) -> Result<()> {
    if edits.zeros.is_empty() && edits.kept.is_empty() {
        return Ok(());
    }
    let declarations = edits.declarations();
    let (mut zeros, mut kept) = (vec![false; edits.zeros.len()], vec![false; edits.kept.len()]);
    for entry in entries {
        for name in entry.names() {
            let parameters = states.iter().flatten().filter_map(|state| strip(name, state));
            for name in std::iter::once(name).chain(parameters) {
                declarations.zeros(name).for_each(|number| zeros[number] = true);
                declarations.kept(name).for_each(|number| kept[number] = true);
            }
            // A value below a level is no zero, and remains to be found.
            let is_meant = |number: &usize| {
                let declared = &edits.zeros[*number];
                join(&declared.at, declared.name.as_str()) == name
            };
            let zero = declarations.zeros(name).find(is_meant);
            if let Some(number) = zero.filter(|_| matches!(entry.held, EntryTarget::Value(_))) {
                let declared = &edits.zeros[number];
                return Err(declared.refuse(format!(
                    "`{}` is a value, and the word makes tensors of zeros; .insert({:?}, value) makes a value",
                    entry.name,
                    declared.name.as_str()
                )));
            }
        }
    }
    check_found(&edits.zeros, &zeros)?;
    check_found(&edits.kept, &kept)
}

fn check_found(all: &[Declared], found: &[bool]) -> Result<()> {
    let refusals = |declared: &Declared| std::sync::Arc::as_ptr(&declared.refusal);
    // One word may be declared for two paths, of which the state has one.
    let meant: HashSet<_> = all
        .iter()
        .zip(found)
        .filter(|(_, found)| **found)
        .map(|(own, _)| refusals(own))
        .collect();
    match all
        .iter()
        .find(|own| !own.if_present && !meant.contains(&refusals(own)))
    {
        Some(absent) => Err(absent.refuse(format!(
            "the state has no `{}`; .if_present() behind the word allows that",
            absent.name.as_str()
        ))),
        None => Ok(()),
    }
}

impl Matching<'_, '_> {
    /// Finds the entries that a recipe declares as absent: those that begin at zero, and those that stay.
    pub(crate) fn find_declared_absent(&mut self) {
        let edits = &self.index.edits;
        if edits.zeros.is_empty() && edits.kept.is_empty() && edits.anew.is_empty() {
            return;
        }
        let declarations = edits.declarations();
        for (at, entry) in self.entries.iter().enumerate() {
            if self.fates[at].is_some() || self.found[at].is_some() {
                continue;
            }
            let states = entry.state_of.map(|state| &self.policy.states[state.optimizer][..]);
            let mut names = entry.names();
            let report = &mut self.plan.report;
            if names
                .clone()
                .any(|name| states.is_some_and(|states| declarations.begins_anew(name, states)))
            {
                self.fates[at] = Some(Fate::ZeroInit);
                self.plan.zero_init.push(at);
                report.begun_anew.push(entry.name.to_owned());
            } else if !matches!(entry.held, EntryTarget::Value(_))
                && names.clone().any(|name| declarations.is_zero(name))
            {
                self.fates[at] = Some(Fate::ZeroInit);
                self.plan.zero_init.push(at);
                report.zeroed.push(entry.name.to_owned());
            } else if names.any(|name| {
                declarations.is_kept(name) || states.is_some_and(|states| declarations.keeps_state(name, states))
            }) {
                self.fates[at] = Some(Fate::Kept);
                report.kept.push(entry.name.to_owned());
            }
        }
    }
}
