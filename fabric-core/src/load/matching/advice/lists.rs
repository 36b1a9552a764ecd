//! Lists that have another length in the file, and parts of the state that hold nothing at present.

use std::collections::BTreeSet;

use super::super::Matching;
use crate::entry::entries;
use crate::entry::strip;

/// So many lists are named at most.
const MOST_LISTS: usize = 8;

impl Matching<'_, '_> {
    /// A sentence for each list that has another number of items in the file.
    pub(crate) fn lists_of_other_lengths(&self) -> Vec<String> {
        let report = &self.plan.report;
        let names = report.missing.iter().chain(&report.unexpected).map(String::as_str);
        let mut lists = BTreeSet::new();
        for name in names {
            if let Some(list) = outermost_list(name)
                && !self
                    .policy
                    .states
                    .iter()
                    .flatten()
                    .any(|state| strip(list, state).is_some())
            {
                lists.insert(list);
            }
        }
        let sentence = |list: &&str| {
            let of_state = items(list, self.entries.iter().map(|entry| entry.name));
            let of_file = items(list, self.index.names());
            (of_state != of_file && of_state > 0 && of_file > 0).then(|| {
                format!(
                    "`{list}` has {of_file} items in the file and {of_state} in the state: give it {of_file} before the \
                     load"
                )
            })
        };
        lists.iter().filter_map(sentence).take(MOST_LISTS).collect()
    }

    /// A sentence for each optimizer that goes by numbers where the file goes by names, or the other way round.
    pub(crate) fn named_and_numbered(&self) -> Vec<String> {
        let report = &self.plan.report;
        let is_number = |rest: &str| rest.split('.').next().is_some_and(|first| first.parse::<u64>().is_ok());
        let goes_by = |state: &String, names: &[String]| {
            let mut rests = names.iter().filter_map(|name| strip(name, state));
            rests.next().map(is_number)
        };
        let sentence = |states: &Vec<String>| {
            let state = states.first()?;
            let kind = format!("{}kind", state.strip_suffix("state")?);
            let is_ours = self.index.contains(&kind);
            match (goes_by(state, &report.missing)?, goes_by(state, &report.unexpected)?) {
                (true, false) => Some(format!(
                    "`{state}` of the file goes by the names of parameters, and this optimizer knows none: load it in one \
                     state with its model, or build it with `from_named(named_parameters(&model), ...)`"
                )),
                (false, true) if is_ours => Some(format!(
                    "`{state}` of the file goes by numbers, because its optimizer was saved without its model: \
                     fabric.open(path)?.subtree(...).load_raw(...) loads it into an optimizer by itself, which must have been \
                     given its parameters in the same order"
                )),
                _ => None,
            }
        };
        self.policy.states.iter().filter_map(sentence).collect()
    }

    /// A sentence for each level of the state at which a flattened field is `None`, and for which the file has entries that
    /// nothing takes.
    pub(crate) fn flattened_nothing(&self) -> Vec<String> {
        let unexpected = &self.plan.report.unexpected;
        let holds_entries = |level: &&String| self.entries.iter().any(|entry| strip(entry.name, level).is_some());
        let levels: BTreeSet<&String> = self.policy.none.iter().filter(holds_entries).collect();
        let sentence = |level: &String| {
            let count = unexpected.iter().filter(|name| strip(name, level).is_some()).count();
            let part = if level.is_empty() {
                "the state".to_owned()
            } else {
                format!("`{level}`")
            };
            (count > 0).then(|| {
                format!(
                    "a flattened field of {part} is None, so nothing can be restored into it, and the file has {} there that no \
                     other field takes: set it to Some before the load",
                    entries(count)
                )
            })
        };
        levels.into_iter().filter_map(sentence).take(MOST_LISTS).collect()
    }

    /// A sentence for each part of the state that holds nothing, and that the file has entries for.
    pub(crate) fn filled_with_nothing(&self) -> Vec<String> {
        let unexpected = &self.plan.report.unexpected;
        let count = |part: &str| unexpected.iter().filter(|name| strip(name, part).is_some()).count();
        let is_empty = |part: &&String| !self.entries.iter().any(|entry| strip(entry.name, part).is_some());
        let parts = self
            .policy
            .empty
            .iter()
            .filter(is_empty)
            .map(|part| (part, count(part)));
        let sentence = |(part, count): (&String, usize)| {
            let is_none = self.policy.none.contains(part);
            let what = if is_none { "is None" } else { "is empty" };
            let how = if is_none {
                "set it to Some"
            } else {
                "fill it (a VarMap: build the model from it)"
            };
            format!(
                "`{part}` {what} in the state, so nothing can be restored into it, and the file has {} for it: {how} before \
                 the load",
                entries(count)
            )
        };
        parts
            .filter(|(_, count)| *count > 0)
            .map(sentence)
            .take(MOST_LISTS)
            .collect()
    }
}

/// The part of a name in front of its first number: `blocks` of `blocks.2.attention.0.weight`.
fn outermost_list(name: &str) -> Option<&str> {
    let mut end = 0;
    for segment in name.split('.') {
        if end > 0 && segment.parse::<usize>().is_ok() {
            return Some(&name[..end - 1]);
        }
        end += segment.len() + 1;
    }
    None
}

/// The number of different numbers behind the name of a list.
fn items<'n>(list: &str, names: impl Iterator<Item = &'n str>) -> usize {
    let numbers = names.filter_map(|name| strip(name, list)?.split('.').next()?.parse::<usize>().ok());
    numbers.collect::<BTreeSet<_>>().len()
}
