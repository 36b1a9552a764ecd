//! Lists that have another length in the file, and parts of the state that hold nothing at present.

use std::collections::BTreeSet;

use super::super::Matching;
use crate::entry::{entries, strip};
use crate::hash::HashMap;
use crate::report::{PartMismatch, PartMismatchKind};

/// So many lists are named at most.
const MOST_LISTS: usize = 8;

/// So many names of lists are compared at most.
const MOST_SEEN: usize = 1 << 12;

impl Matching<'_, '_> {
    /// Each list that has another number of items in the file. A list inside of such a list is not looked at.
    pub(crate) fn lists_of_other_lengths(&self) -> Vec<PartMismatch> {
        let report = &self.plan.report;
        let names = report.missing.iter().chain(&report.unexpected).map(String::as_str);
        let is_state = |list: &str| {
            self.policy
                .states
                .iter()
                .flatten()
                .any(|state| strip(list, state).is_some())
        };
        let lists: BTreeSet<&str> = names
            .flat_map(lists)
            .filter(|list| !is_state(list))
            .take(MOST_SEEN)
            .collect();
        let of_state = items(&lists, self.entries.iter().map(|entry| entry.name));
        let of_file = items(&lists, self.index.names());
        let mut differing: Vec<PartMismatch> = Vec::new();
        for list in lists {
            let (found, expected) = (of_file[list].len(), of_state[list].len());
            let is_inside = differing.iter().any(|outer| strip(list, &outer.name).is_some());
            // Indices with gaps are the keys of a map, or a list with items that are `None`.
            let has_gaps = |indices: &BTreeSet<usize>| indices.last().is_some_and(|last| last + 1 != indices.len());
            let is_list = !has_gaps(&of_file[list]) && !has_gaps(&of_state[list]);
            if found != expected && found > 0 && expected > 0 && !is_inside && is_list {
                differing.push(PartMismatch {
                    name: list.to_owned(),
                    kind: PartMismatchKind::Length { found, expected },
                });
            }
        }
        differing.truncate(MOST_LISTS);
        differing
    }

    /// The cause and the repair of a part that differs as a whole.
    pub(crate) fn sentence_of(&self, part: &PartMismatch) -> String {
        let name = &part.name;
        let nothing = |what: &str, repair: &str| {
            let unexpected = &self.plan.report.unexpected;
            let count = unexpected.iter().filter(|entry| strip(entry, name).is_some()).count();
            format!(
                "`{name}` {what} in the state, so nothing can be restored into it, and the file has {} for it: {repair} before \
                 the load",
                entries(count)
            )
        };
        match part.kind {
            PartMismatchKind::Length { found, expected } => {
                let items = if found == 1 { "item" } else { "items" };
                format!(
                    "`{name}` has {found} {items} in the file and {expected} in the state: give it {found} before the load"
                )
            }
            PartMismatchKind::Empty => nothing("is empty", "fill it (a VarMap: build the model from it)"),
            PartMismatchKind::None => nothing("is None", "set it to Some"),
            PartMismatchKind::Variant => {
                format!("`{name}` is of another variant in the file: set it to that one before the load")
            }
        }
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

    /// Each part of the state that holds nothing, and that the file has entries for.
    pub(crate) fn filled_with_nothing(&self) -> Vec<PartMismatch> {
        let unexpected = &self.plan.report.unexpected;
        let is_in_file = |part: &str| unexpected.iter().any(|name| strip(name, part).is_some());
        let is_empty = |part: &str| !self.entries.iter().any(|entry| strip(entry.name, part).is_some());
        let parts = self
            .policy
            .empty
            .iter()
            .filter(|part| is_in_file(part) && is_empty(part));
        let mismatch = |part: &String| PartMismatch {
            name: part.clone(),
            kind: if self.policy.none.contains(part) {
                PartMismatchKind::None
            } else {
                PartMismatchKind::Empty
            },
        };
        parts.take(MOST_LISTS).map(mismatch).collect()
    }
}

/// The parts of a name in front of its numbers: `blocks` and `blocks.2.experts` of `blocks.2.experts.0.weight`.
fn lists(name: &str) -> impl Iterator<Item = &str> {
    let dots = name.match_indices('.').map(|(at, _)| at);
    let is_list = move |end: &usize| index_behind(&name[*end + 1..]).is_some();
    dots.filter(is_list).map(move |end| &name[..end])
}

/// The index that the rest of a name begins with.
fn index_behind(rest: &str) -> Option<usize> {
    rest.split('.').next()?.parse().ok()
}

/// The indices of each list among these names.
fn items<'l, 'n>(lists: &BTreeSet<&'l str>, names: impl Iterator<Item = &'n str>) -> HashMap<&'l str, BTreeSet<usize>> {
    let mut items: HashMap<&str, BTreeSet<usize>> = HashMap::default();
    items.extend(lists.iter().map(|list| (*list, BTreeSet::new())));
    for name in names {
        for list in self::lists(name) {
            if let (Some(items), Some(index)) = (items.get_mut(list), index_behind(&name[list.len() + 1..])) {
                items.insert(index);
            }
        }
    }
    items
}
