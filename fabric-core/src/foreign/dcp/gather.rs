//! Rebuilds dicts and lists of values from their flattened leaves.
//!
//! PyTorch flattens all dicts, and lists that hold dicts, and stores each leaf as an entry. In other formats a dict
//! without tensors is one value, from which a whole struct can be read. This module rebuilds that value from the path
//! of each leaf.

mod flattened;

use std::collections::BTreeMap;

pub(crate) use super::metadata::Key;
use crate::entry::join;
use crate::value::Value;

/// The name of an optimizer's hyper-parameters. They become one value even if tensors lie beside them.
pub(crate) const GROUPS: &str = "param_groups";

/// The largest number of list items that may be missing. An empty dict leaves no leaf, so lists may have gaps. If a
/// file lacks more items than this, and more items than it has values, the numbered keys are not taken for a list.
const MAX_MISSING: usize = 1024;

/// A value with its name and its path of keys.
pub(crate) struct Leaf {
    pub(crate) name: String,
    pub(crate) path: Option<Vec<Key>>,
    pub(crate) value: Value,
}

/// Names all values. The values below a prefix without tensors become one value.
///
/// # Errors
/// If two values have one name.
pub(crate) fn gather<T>(leaves: Vec<Leaf>, tensors: &BTreeMap<String, T>) -> Result<BTreeMap<String, Value>, String> {
    let mut values = BTreeMap::new();
    let mut trees: BTreeMap<String, Node> = BTreeMap::new();
    let mut missing = MAX_MISSING.max(leaves.len());
    let mut insert = |name: String, value: Value| {
        if tensors.contains_key(&name) || values.contains_key(&name) {
            return Err(format!("two entries have the name `{name}`"));
        }
        values.insert(name, value);
        Ok(())
    };
    for leaf in flattened::regroup(leaves) {
        let path = leaf.path.or_else(|| guess(&leaf.name));
        match path.as_deref().and_then(|path| split(path, tensors)) {
            None => insert(leaf.name, leaf.value)?,
            Some((root, rest)) => {
                let tree = trees.entry(root).or_default();
                tree.put(rest, leaf.value)
                    .ok_or_else(|| format!("entry `{}` lies inside of another value", leaf.name))?;
            }
        }
    }
    for (root, tree) in trees {
        insert(root, tree.value(&mut missing))?;
    }
    Ok(values)
}

/// The path of a hyper-parameter in a file that stores no paths: `<optimizer>.param_groups.<number>.<option>`.
fn guess(name: &str) -> Option<Vec<Key>> {
    let (optimizer, rest) = match name.split_once(&format!(".{GROUPS}.")) {
        Some((optimizer, rest)) => (Some(optimizer), rest),
        None => (None, name.strip_prefix(GROUPS)?.strip_prefix('.')?),
    };
    let (number, option) = rest.split_once('.')?;
    let keys = [
        optimizer.map(|name| Key::Name(name.to_owned())),
        Some(Key::Name(GROUPS.to_owned())),
        Some(Key::Index(number.parse().ok()?)),
        Some(Key::Name(option.to_owned())),
    ];
    Some(keys.into_iter().flatten().collect())
}

/// The shortest prefix of the path without tensors below it, and the rest of the path; `None` if every prefix has
/// tensors.
fn split<'p, T>(path: &'p [Key], tensors: &BTreeMap<String, T>) -> Option<(String, &'p [Key])> {
    let groups = path
        .iter()
        .position(|key| matches!(key, Key::Name(name) if name == GROUPS));
    let from = groups.unwrap_or(0);
    let mut prefix = String::new();
    for (at, key) in path.iter().enumerate() {
        prefix = join(&prefix, &key.to_string());
        let rest = &path[at + 1..];
        if at < from || rest.is_empty() {
            continue;
        }
        let below = format!("{prefix}.");
        let holds = tensors.range(below.clone()..).next();
        let holds = holds.is_some_and(|(name, _)| name.starts_with(&below));
        if !holds && !tensors.contains_key(&prefix) {
            return Some((prefix, rest));
        }
    }
    None
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(number) => number.fmt(f),
        }
    }
}

/// A dict or list under construction, or a leaf.
enum Node {
    Leaf(Value),
    Branch {
        names: BTreeMap<String, Node>,
        items: BTreeMap<usize, Node>,
    },
}

impl Default for Node {
    fn default() -> Self {
        Self::Branch {
            names: BTreeMap::new(),
            items: BTreeMap::new(),
        }
    }
}

impl Node {
    /// Puts a leaf at the end of `path`; `None` if another leaf is there, or on the path.
    fn put(&mut self, path: &[Key], value: Value) -> Option<()> {
        let mut at = self;
        for key in path {
            let Self::Branch { names, items } = at else { return None };
            at = match key {
                Key::Name(name) => names.entry(name.clone()).or_default(),
                Key::Index(number) => items.entry(*number).or_default(),
            };
        }
        match at {
            Self::Branch { names, items } if names.is_empty() && items.is_empty() => {
                *at = Self::Leaf(value);
                Some(())
            }
            _ => None,
        }
    }

    /// Builds the value. The recursion is as deep as the paths are long; reading the index bounds that length.
    fn value(self, missing: &mut usize) -> Value {
        let (names, items) = match self {
            Self::Leaf(value) => return value,
            Self::Branch { names, items } => (names, items),
        };
        let len = items.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        if names.is_empty()
            && len > 0
            && let Some(left) = missing.checked_sub(len - items.len())
        {
            *missing = left;
            return list(items, len, missing);
        }
        let items = items.into_iter().map(|(number, node)| (number.to_string(), node));
        let entries = names.into_iter().chain(items);
        Value::map(entries.map(|(name, node)| (name, node.value(missing))))
    }
}

fn list(mut items: BTreeMap<usize, Node>, len: usize, missing: &mut usize) -> Value {
    Value::list((0..len).map(|at| match items.remove(&at) {
        Some(node) => node.value(missing),
        None => Value::map([]),
    }))
}
