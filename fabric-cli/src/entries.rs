//! The entries of a checkpoint as the commands list them.

use std::collections::HashMap;

use fabric_core::{OptimizerSummary, RawCheckpoint, TensorInfo, Value};

use crate::text::{plain, plural};

/// Longer names are not split any further: the nesting of a tree is bounded.
const MOST_LEVELS: usize = 64;

/// An entry, or an optimizer in the place of its entries.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'r> {
    pub(crate) name: &'r str,
    pub(crate) content: Content<'r>,
}

/// The contents of an entry.
#[derive(Clone, Debug)]
pub(crate) enum Content<'r> {
    Tensor {
        info: &'r TensorInfo,
        /// The first of the other names of the same stored tensor, except for this one.
        tied_to: Option<&'r str>,
        /// Another name of the tensor, the first of them, if a pattern leaves that out: this one counts as stored.
        unlisted: Option<&'r str>,
    },
    Value(&'r Value),
    /// A summary on one line, and the size of the tensors in bytes.
    Optimizer {
        summary: String,
        bytes: u64,
    },
}

impl Entry<'_> {
    /// The bytes that the entry stores. A tensor that is stored under another name counts there.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.content {
            Content::Tensor {
                info, tied_to: None, ..
            } => info.byte_len().unwrap_or_default() as u64,
            Content::Tensor { .. } | Content::Value(_) => 0,
            Content::Optimizer { bytes, .. } => *bytes,
        }
    }

    /// Returns true for a tensor that is not stored under another name.
    pub(crate) fn is_stored_tensor(&self) -> bool {
        matches!(self.content, Content::Tensor { tied_to: None, .. })
    }
}

/// All entries, in the order of their names, with numbers in numeric order.
pub(crate) fn all(raw: &RawCheckpoint) -> Vec<Entry<'_>> {
    let ties: HashMap<&str, &str> = raw.ties().iter().flat_map(|names| others(names)).collect();
    let content = |name: &str| {
        let info = raw.info(name).map(|info| Content::Tensor {
            info,
            tied_to: ties.get(name).copied(),
            unlisted: None,
        });
        info.or_else(|| raw.stored_value(name).ok().map(Content::Value))
    };
    let names = raw.names().into_iter();
    let entries = names.filter_map(|name| {
        let content = content(name)?;
        Some(Entry { name, content })
    });
    sorted(entries.collect())
}

/// Gives the entries that `whole` has under further names the first of these.
pub(crate) fn add_unlisted<'r>(entries: &mut [Entry<'r>], whole: &'r RawCheckpoint) {
    let ties = whole.ties();
    let each = ties
        .iter()
        .flat_map(|names| names.iter().map(move |name| (*name, names)));
    let ties: HashMap<&str, &Vec<&'r str>> = each.collect();
    for entry in entries {
        let Content::Tensor {
            tied_to: None,
            unlisted,
            ..
        } = &mut entry.content
        else {
            continue;
        };
        let others = ties.get(entry.name).into_iter().flat_map(|names| names.iter());
        // The first name of a tensor is that of its bytes.
        *unlisted = others.take(1).copied().find(|other| *other != entry.name);
    }
}

/// The names of a tensor but the first, each with the first.
fn others<'r>(names: &[&'r str]) -> Vec<(&'r str, &'r str)> {
    let Some((first, others)) = names.split_first() else {
        return Vec::new();
    };
    others.iter().map(|other| (*other, *first)).collect()
}

/// The entries in natural order.
fn sorted(mut entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    // Each name is cut into segments once.
    entries.sort_by_cached_key(|entry| natural(entry.name));
    entries
}

/// The optimizers of a checkpoint by name.
#[derive(Debug)]
pub(crate) struct Optimizers<'r>(HashMap<&'r str, &'r OptimizerSummary>);

impl<'r> Optimizers<'r> {
    pub(crate) fn new(optimizers: &'r [OptimizerSummary]) -> Self {
        let named = optimizers.iter().map(|optimizer| (optimizer.name.as_str(), optimizer));
        Self(named.collect())
    }

    /// The name of the optimizer that an entry belongs to: `kind`, `param_groups` and everything below `state` are its parts.
    pub(crate) fn of(&self, name: &str) -> Option<&'r str> {
        let dots = name.match_indices('.').map(|(dot, _)| (&name[..dot], &name[dot + 1..]));
        // Few parts of a name are called so, and only those are looked up.
        let mut splits = std::iter::once(("", name))
            .chain(dots)
            .filter(|(_, rest)| is_part(rest));
        let found = splits.find_map(|(root, _)| self.0.get_key_value(root));
        found.map(|(root, _)| *root)
    }
}

/// Returns true if the rest of a name behind that of an optimizer names a part of it.
fn is_part(rest: &str) -> bool {
    let state = rest.strip_prefix("state");
    ["kind", "param_groups"].contains(&rest) || state.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Puts each optimizer in the place of its entries, which are in natural order. An optimizer that is the whole checkpoint is left as it is.
pub(crate) fn summarized<'r>(mut entries: Vec<Entry<'r>>, optimizers: &'r [OptimizerSummary]) -> Vec<Entry<'r>> {
    if optimizers.is_empty() {
        return entries;
    }
    let all = Optimizers::new(optimizers);
    entries.retain(|entry| all.of(entry.name).is_none_or(str::is_empty));
    let named = optimizers.iter().filter(|optimizer| !optimizer.name.is_empty());
    entries.extend(named.map(|optimizer| Entry {
        name: &optimizer.name,
        content: Content::Optimizer {
            summary: summary(optimizer),
            bytes: optimizer.bytes,
        },
    }));
    sorted(entries)
}

/// The hyper-parameters that stand on the line of an optimizer.
const SHOWN: [&str; 4] = ["lr", "betas", "momentum", "weight_decay"];

/// An optimizer on one line: `AdamW, lr 0.0003, step 12000, 26 parameters`.
pub(crate) fn summary(optimizer: &OptimizerSummary) -> String {
    let mut parts = vec![plain(optimizer.kind.as_deref().unwrap_or("optimizer")).into_owned()];
    for option in SHOWN {
        let mut values: Vec<String> = Vec::new();
        for value in optimizer.groups.iter().filter_map(|group| group.get(option)) {
            let text = value.json().to_string();
            if !value.is_null() && !values.contains(&text) {
                values.push(text);
            }
        }
        if !values.is_empty() {
            parts.push(format!("{option} {}", plain(&values.join(" / "))));
        }
    }
    parts.extend(optimizer.step.map(|step| format!("step {step}")));
    if optimizer.groups.len() > 1 {
        parts.push(plural(optimizer.groups.len(), "group"));
    }
    parts.push(plural(optimizer.parameters, "parameter"));
    parts.join(", ")
}

/// The parts of a name between dots.
pub(crate) fn segments(name: &str) -> impl Iterator<Item = &str> {
    name.splitn(MOST_LEVELS, '.')
}

/// A part of a name, in the order of names: numbers by their size, and before texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment<'n> {
    Index(u64, &'n str),
    Text(&'n str),
}

/// The key by which names are sorted: segment by segment.
pub(crate) fn natural(name: &str) -> Vec<Segment<'_>> {
    let segment = |text| match number(text) {
        Some(index) => Segment::Index(index, text),
        None => Segment::Text(text),
    };
    segments(name).map(segment).collect()
}

/// A segment that is an index.
pub(crate) fn number(segment: &str) -> Option<u64> {
    let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| segment.parse().ok()).flatten()
}

/// A value as JSON on one line.
pub(crate) fn value_text(value: &Value) -> String {
    plain(&value.json().to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_numeric_order_and_before_names() {
        let mut names = ["b.10.w", "b.2.w", "b", "b.x", "a-b.c", "a.c", "b.02.w", "a"];
        names.sort_by(|a, b| natural(a).cmp(&natural(b)));
        assert_eq!(names, ["a", "a.c", "a-b.c", "b", "b.02.w", "b.2.w", "b.10.w", "b.x"]);
    }

    #[test]
    fn parts_of_optimizers_are_told_from_other_entries() {
        for (part, is) in [
            ("state.a.b", true),
            ("state", true),
            ("kind", true),
            ("states.a", false),
            ("kind.a", false),
        ] {
            assert_eq!(is_part(part), is, "{part}");
        }
    }

    #[test]
    fn a_name_of_a_million_dots_has_few_segments() {
        assert_eq!(segments(&"a.".repeat(1_000_000)).count(), MOST_LEVELS);
    }
}
