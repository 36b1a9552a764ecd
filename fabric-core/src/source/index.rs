//! The index of a source: its entries by name.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::Bound;
use std::sync::Arc;

use super::{Check, Edits, Extent, StoredTensor};
use crate::entry::entries;
use crate::entry::{root, strip};
use crate::format::manifest::StructRecord;
use crate::hash::HashSet;
use crate::io::checksum::Running;
use crate::value::Value;

/// The entries of a source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// The path of the source, for messages.
    pub(crate) origin: String,
    pub(crate) tensors: BTreeMap<String, StoredTensor>,
    pub(crate) values: BTreeMap<String, Value>,
    /// The entries that a filter skipped when the checkpoint was saved.
    pub(crate) filtered: BTreeSet<String>,
    /// The names of the tensors in the order of the program that wrote the file; empty if the file does not store it.
    pub(crate) order: Arc<[String]>,
    /// The format cannot store values, so an absent value means nothing.
    pub(crate) tensors_only: bool,
    /// The structs of the saved state; empty if the file does not store them.
    pub(crate) structs: Vec<StructRecord>,
    /// For tensors that were sharded over a mesh: the sharded dimensions, each with the names of its axes.
    pub(crate) cuts: BTreeMap<String, Vec<(usize, Vec<String>)>>,
    /// The entries that a migration has made or moved.
    pub(crate) edits: Edits,
}

impl Index {
    /// All names, tensors before values.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().chain(self.values.keys()).map(String::as_str)
    }

    /// The entry of this name, with the name borrowed from the index.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry<'_>> {
        let tensor = self.tensors.get_key_value(name);
        let tensor = tensor.map(|(name, stored)| Entry::Tensor(name, stored));
        let value = || {
            self.values
                .get_key_value(name)
                .map(|(name, value)| Entry::Value(name, value))
        };
        tensor.or_else(value)
    }

    /// The names of the entry of this name and of all entries below it.
    pub(crate) fn names_below(&self, name: &str) -> impl Iterator<Item = &str> {
        fn of<'i, V>(entries: &'i BTreeMap<String, V>, name: &str) -> impl Iterator<Item = &'i str> + use<'i, V> {
            let below = format!("{name}.");
            let own = entries.get_key_value(name).map(|(own, _)| own.as_str());
            let rest = entries.range::<str, _>((Bound::Excluded(below.as_str()), Bound::Unbounded));
            own.into_iter().chain(
                rest.map(|(entry, _)| entry.as_str())
                    .take_while(move |entry| entry.starts_with(&below)),
            )
        }
        of(&self.tensors, name).chain(of(&self.values, name))
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.tensors.len() + self.values.len()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.values.contains_key(name)
    }

    /// The names of the values that are not read, wholly or in part, sorted.
    pub(crate) fn not_read(&self) -> Vec<String> {
        let unread = self.values.iter().filter(|(_, value)| value.not_read().is_some());
        unread.map(|(name, _)| name.clone()).collect()
    }

    /// The index without the entries in `taken`. All of these names are in the index.
    pub(crate) fn without(&self, taken: &HashSet<&str>) -> Self {
        fn rest<V: Clone>(entries: &BTreeMap<String, V>, taken: &HashSet<&str>) -> BTreeMap<String, V> {
            let rest = entries.iter().filter(|(name, _)| !taken.contains(name.as_str()));
            rest.map(|(name, entry)| (name.clone(), entry.clone())).collect()
        }
        let (tensors, values) = if taken.len() == self.len() {
            Default::default()
        } else {
            (rest(&self.tensors, taken), rest(&self.values, taken))
        };
        Self {
            origin: self.origin.clone(),
            tensors,
            values,
            filtered: self.filtered.clone(),
            order: self.order.clone(),
            tensors_only: self.tensors_only,
            structs: self.structs.clone(),
            cuts: self.cuts.clone(),
            edits: self.edits.clone(),
        }
    }

    /// A value inside of a map: the entry's name is a prefix of `name`, and the rest is the path of keys. Keys may
    /// contain dots.
    pub(crate) fn value_inside(&self, name: &str) -> Option<Value> {
        let dots: Vec<usize> = name.match_indices('.').map(|(at, _)| at).collect();
        let mut found = dots.iter().rev().filter_map(|&at| {
            let value = self.values.get(&name[..at])?;
            inside(value, &name[at + 1..])
        });
        found.next()
    }

    /// A digest of all entries, values, places and checksums. Ranks with equal digests have opened the same checkpoint.
    pub(crate) fn digest(&self) -> u64 {
        let mut digest = Running::new();
        for (name, tensor) in &self.tensors {
            digest.update(format!("{name}\n{}\n", tensor.info).as_bytes());
            for part in &tensor.parts {
                let Extent { file, start, len } = part.place;
                digest.update(format!("{file} {start} {len} {}\n", part.region).as_bytes());
                if part.arrangement.is_some() || part.cut.is_some() {
                    digest.update(format!("{:?} {:?}\n", part.arrangement, part.cut).as_bytes());
                }
                match &part.check {
                    Check::Blocks(sums) => sums.iter().for_each(|sum| digest.update(&sum.to_le_bytes())),
                    Check::Run(run) => digest.update(&run.crc32.to_le_bytes()),
                    Check::Nothing | Check::Framed => {}
                }
            }
        }
        for (name, value) in &self.values {
            digest.update(format!("{name}\n").as_bytes());
            digest.update(&value.to_bytes().unwrap_or_default());
        }
        digest.finish()
    }

    /// The number of entries and the names at the first level, as a clause.
    pub(crate) fn holds(&self) -> String {
        let roots: BTreeSet<&str> = self.names().map(root).collect();
        if roots.is_empty() {
            return "holds no entries".to_owned();
        }
        let has_levels = self.names().any(|name| name.contains('.'));
        let relation = if has_levels { " below" } else { ":" };
        let shown: Vec<_> = roots.iter().take(6).map(|name| format!("`{name}`")).collect();
        let more = if roots.len() > shown.len() { ", …" } else { "" };
        format!("holds {}{relation} {}{more}", entries(self.len()), shown.join(", "))
    }

    /// A description of the contents, for an error of a load that expected others.
    pub(crate) fn summary(&self) -> String {
        let holds = self.holds();
        if !self.names().any(|name| name.contains('.')) {
            return format!("it {holds}");
        }
        format!(
            "it {holds}; if the weights lie below one of these, open the file and load its subtree: \
             fabric.open(path)?.subtree(name).load_raw(&mut model)"
        )
    }
}

/// The value at a path of keys joined by dots. The nesting of values is bounded, and so is the recursion.
fn inside(value: &Value, path: &str) -> Option<Value> {
    value
        .as_map_entries()?
        .into_iter()
        .find_map(|(key, value)| match strip(path, &key)? {
            "" => Some(value),
            rest => inside(&value, rest),
        })
}

/// Entries by their names.
///
/// # Errors
/// The name that two entries have.
pub(crate) fn by_name<V>(entries: impl IntoIterator<Item = (String, V)>) -> Result<BTreeMap<String, V>, String> {
    let mut map = BTreeMap::new();
    for (name, entry) in entries {
        match map.entry(name) {
            btree_map::Entry::Vacant(place) => {
                place.insert(entry);
            }
            btree_map::Entry::Occupied(place) => return Err(place.key().clone()),
        }
    }
    Ok(map)
}

/// An entry of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'i> {
    Tensor(&'i str, &'i StoredTensor),
    Value(&'i str, &'i Value),
}

impl<'i> Entry<'i> {
    pub(crate) fn name(self) -> &'i str {
        match self {
            Self::Tensor(name, _) | Self::Value(name, _) => name,
        }
    }

    /// Returns true if all entries are one tensor, stored once.
    pub(crate) fn same_place(entries: &[Self]) -> bool {
        let [Self::Tensor(_, first), rest @ ..] = entries else {
            return false;
        };
        let same = |other: &Self| matches!(other, Self::Tensor(_, other) if first.same_contents(other) == Some(true));
        rest.iter().all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_entries_have_is_told() {
        let entries = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), ())).collect::<Vec<_>>();
        assert_eq!(by_name(entries(&["b", "a", ""])).unwrap().len(), 3);
        assert_eq!(by_name(entries(&["a", "b", "a"])), Err("a".to_owned()));
        assert_eq!(by_name(entries(&["", ""])), Err(String::new()));
    }
}
