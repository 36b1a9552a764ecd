//! Gives every tensor and value of a pickle its name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::storages::Storages;
use super::tensor::{Rebuilt, is_tensor, tensor};
use super::value::{MAX_DEPTH, value};
use crate::entry::join;
use crate::source::StoredTensor;
use crate::source::pickle::{Id, Object, Pickle};
use crate::source::sorted::sorted;
use crate::value::Value;

/// Longer names are refused.
const MAX_NAME: usize = 4096;

/// The name of a tensor that was saved by itself, and of a value.
const TENSOR: &str = "tensor";
const VALUE: &str = "value";

/// What the names of an optimizer's hyper-parameters hold.
const PARAM_GROUPS: &str = "param_groups";

/// Everything that a pickle describes, by name.
pub(super) struct Named {
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    pub(super) values: BTreeMap<String, Value>,
    /// The names of the tensors in the order of the pickle, if an optimizer is among them that may count by it.
    pub(super) order: Vec<String>,
}

/// Names everything below the root of `pickle`.
///
/// # Errors
/// If two entries have one name, a tensor does not fit its storage, or objects refer to each other without end.
pub(super) fn flatten(pickle: &Pickle, storages: &Storages) -> Result<Named, String> {
    let mut walk = Walk::new(pickle, storages);
    let root = pickle.root;
    match pickle.get(root) {
        Object::Dict(entries) => walk.dict(entries, "", 0)?,
        Object::List(_) | Object::Tuple(_) if walk.holds[root.index()] => walk.entry(root, String::new(), 0)?,
        _ if is_tensor(pickle, root) => walk.entry(root, TENSOR.to_owned(), 0)?,
        _ => walk.entry(root, VALUE.to_owned(), 0)?,
    }
    walk.finish()
}

/// The same for a root that is the entry `name` itself.
///
/// # Errors
/// As [`flatten`].
pub(super) fn flatten_below(pickle: &Pickle, storages: &Storages, name: &str) -> Result<Named, String> {
    let mut walk = Walk::new(pickle, storages);
    walk.entry(pickle.root, name.to_owned(), 0)?;
    walk.finish()
}

/// What naming and copying may cost: objects that are referred to again and again are named again and again, and a
/// few hundred bytes could describe more entries than any memory holds. Honest pickles take a byte at least to refer to
/// anything, and what that is counts twice at most: as an entry, and as a value.
pub(super) struct Budget {
    steps: usize,
    bytes: usize,
}

impl Budget {
    fn of(pickle: &Pickle) -> Self {
        Self {
            steps: pickle.len.saturating_mul(2).saturating_add(10_000),
            bytes: pickle.len.saturating_mul(16).saturating_add(1 << 20),
        }
    }

    /// Counts one object, and `bytes` that are copied for it.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let (steps, bytes) = (self.steps.checked_sub(1), self.bytes.checked_sub(bytes));
        let (Some(steps), Some(bytes)) = (steps, bytes) else {
            return Err("refers to the same objects again and again".into());
        };
        (self.steps, self.bytes) = (steps, bytes);
        Ok(())
    }
}

/// For each object, whether a tensor lies in it.
fn holds_tensors(pickle: &Pickle) -> Vec<bool> {
    let mut holds = vec![false; pickle.count()];
    let mut seen = vec![false; pickle.count()];
    // Each object twice: on the way down, and again when everything in it has been looked at.
    let mut open = vec![(pickle.root, false)];
    while let Some((id, below_done)) = open.pop() {
        if below_done {
            holds[id.index()] = below(pickle, id).any(|id| holds[id.index()]);
        } else if !seen[id.index()] {
            seen[id.index()] = true;
            holds[id.index()] = is_tensor(pickle, id);
            if !holds[id.index()] {
                open.push((id, true));
                open.extend(below(pickle, id).map(|id| (id, false)));
            }
        }
    }
    holds
}

/// The objects in a container.
fn below(pickle: &Pickle, id: Id) -> impl Iterator<Item = Id> + '_ {
    let values = match pickle.get(id) {
        Object::Dict(entries) => Some(entries.iter().map(|(_, value)| *value)),
        _ => None,
    };
    let items = pickle.items(id).unwrap_or_default().iter().copied();
    values.into_iter().flatten().chain(items)
}

struct Walk<'p> {
    pickle: &'p Pickle,
    storages: &'p Storages,
    holds: Vec<bool>,
    budget: Budget,
    tensors: Vec<(String, StoredTensor)>,
    values: Vec<(String, Value)>,
}

impl<'p> Walk<'p> {
    fn new(pickle: &'p Pickle, storages: &'p Storages) -> Self {
        Self {
            pickle,
            storages,
            holds: holds_tensors(pickle),
            budget: Budget::of(pickle),
            tensors: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Everything that was named, each name once.
    fn finish(self) -> Result<Named, String> {
        let twice = |name: String| format!("two entries have the name `{name}`");
        let has_groups = self.values.iter().any(|(name, _)| name.contains(PARAM_GROUPS));
        let order = if has_groups {
            self.tensors.iter().map(|(name, _)| name.clone()).collect()
        } else {
            Vec::new()
        };
        let tensors = sorted(self.tensors).map_err(twice)?;
        let values = sorted(self.values).map_err(twice)?;
        match values.keys().find(|name| tensors.contains_key(*name)) {
            None => Ok(Named { tensors, values, order }),
            Some(name) => Err(twice(name.clone())),
        }
    }

    fn entry(&mut self, id: Id, name: String, depth: usize) -> Result<(), String> {
        let say = |what: String| format!("entry `{name}` {what}");
        if depth > MAX_DEPTH {
            return Err(say(format!("nests deeper than {MAX_DEPTH} levels, or contains itself")));
        }
        if name.len() > MAX_NAME {
            return Err(format!(
                "an entry has a name of {} bytes; {MAX_NAME} are the most",
                name.len()
            ));
        }
        self.budget.spend(name.len()).map_err(say)?;
        let pickle = self.pickle;
        if is_tensor(pickle, id) {
            match tensor(pickle, id, self.storages).map_err(say)? {
                Rebuilt::Tensor(tensor) => self.tensors.push((name, tensor)),
                Rebuilt::NotRead(what) => self.values.push((name, Value::opaque(&what))),
            }
            return Ok(());
        }
        match pickle.get(id) {
            Object::Dict(entries) if self.holds[id.index()] => self.dict(entries, &name, depth),
            Object::List(items) | Object::Set(items) if self.holds[id.index()] => self.items(items, &name, depth),
            Object::Tuple(items) if self.holds[id.index()] => self.items(items, &name, depth),
            _ => {
                let value = value(pickle, id, depth, &mut self.budget).map_err(say)?;
                self.values.push((name, value));
                Ok(())
            }
        }
    }

    fn dict(&mut self, entries: &[(Id, Id)], name: &str, depth: usize) -> Result<(), String> {
        for (key, item) in entries {
            let key = self.key(*key).map_err(|what| format!("entry `{name}` {what}"))?;
            self.entry(*item, join(name, &key), depth + 1)?;
        }
        Ok(())
    }

    fn items(&mut self, items: &[Id], name: &str, depth: usize) -> Result<(), String> {
        for (at, item) in items.iter().enumerate() {
            self.entry(*item, join(name, &at.to_string()), depth + 1)?;
        }
        Ok(())
    }

    /// A key as a part of a name: PyTorch's optimizers use numbers.
    fn key(&self, id: Id) -> Result<Cow<'p, str>, String> {
        Ok(match self.pickle.get(id) {
            Object::Text(text) if text.is_empty() => return Err("has an empty key".into()),
            Object::Text(text) if text.len() <= MAX_NAME => Cow::Borrowed(text),
            Object::Int(number) => Cow::Owned(number.to_string()),
            Object::Bool(true) => "True".into(),
            Object::Bool(false) => "False".into(),
            Object::None => "None".into(),
            other => return Err(format!("has a key that cannot be part of a name: {}", other.kind())),
        })
    }
}
