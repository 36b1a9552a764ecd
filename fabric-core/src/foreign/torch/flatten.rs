//! Gives a name to every tensor and value of a pickle.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::storages::Storages;
use super::tensor::{Rebuilt, is_tensor, tensor};
use super::value::{MAX_DEPTH, too_deep, value};
use crate::entry::join;
use crate::foreign::pickle::{Id, Object, Pickle};
use crate::source::limit::{Budget, OverLimit, ReadLimit};
use crate::source::refused::Refused;
use crate::source::{Part, StoredTensor, by_name};
use crate::value::Value;

/// The longest name of an entry that is read, in bytes.
const MAX_NAME: usize = 4096;

/// The name of a tensor, or a value, that was saved by itself.
const TENSOR: &str = "tensor";
const VALUE: &str = "value";

/// The key of an optimizer's hyper-parameters.
const PARAM_GROUPS: &str = "param_groups";

/// The tensors and values of a pickle, by name.
pub(crate) struct Named {
    pub(crate) tensors: BTreeMap<String, StoredTensor>,
    pub(crate) values: BTreeMap<String, Value>,
    /// The names of the tensors in the order of the pickle, if the pickle holds an optimizer, which may number them in
    /// this order.
    pub(crate) order: Vec<String>,
}

/// Gives names to all objects below the root of `pickle`.
///
/// # Errors
/// If two entries have one name, a tensor does not fit its storage, or objects refer to each other in a circle.
pub(crate) fn flatten(pickle: &Pickle, storages: &Storages, limit: ReadLimit) -> Result<Named, Refused> {
    let mut walk = DictWalk::new(pickle, storages, limit);
    let root = pickle.root;
    match pickle.get(root) {
        Object::Dict(entries) => walk.dict(entries, "", 0)?,
        Object::List(_) | Object::Tuple(_) if walk.holds[root.index()] => walk.entry(root, String::new(), 0)?,
        _ if is_tensor(pickle, root) => walk.entry(root, TENSOR.to_owned(), 0)?,
        _ => walk.entry(root, VALUE.to_owned(), 0)?,
    }
    walk.finish()
}

/// Gives names to all objects of a pickle whose root is the entry `name`.
///
/// # Errors
/// As [`flatten`].
pub(super) fn flatten_below(
    pickle: &Pickle,
    storages: &Storages,
    name: &str,
    limit: ReadLimit,
) -> Result<Named, Refused> {
    let mut walk = DictWalk::new(pickle, storages, limit);
    walk.entry(pickle.root, name.to_owned(), 0)?;
    walk.finish()
}

/// The budget for naming and copying. An object with several references is named several times, so a few hundred bytes
/// could describe more entries than fit into memory. An honest pickle needs at least a byte for each reference, and
/// each object counts at most twice: as an entry, and as a value.
pub(super) struct Costs {
    steps: usize,
    copied: usize,
    memory: Budget,
}

impl Costs {
    fn of(pickle: &Pickle, limit: ReadLimit) -> Self {
        Self {
            steps: pickle.len.saturating_mul(2).saturating_add(limit.scaled(10_000)),
            copied: pickle.len.saturating_mul(16).saturating_add(limit.scaled(1 << 20)),
            memory: limit.budget(pickle.len),
        }
    }

    /// Counts one object, and `bytes` that are copied for it.
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), OverLimit> {
        self.steps = self.steps.checked_sub(1).ok_or(OverLimit::Again)?;
        self.copied = self.copied.checked_sub(bytes).ok_or(OverLimit::Again)?;
        self.memory.spend(bytes)
    }

    /// Counts the memory of `count` items of type `T`.
    pub(crate) fn hold<T>(&mut self, count: usize) -> Result<(), OverLimit> {
        self.memory.spend_each(count, size_of::<T>())
    }
}

/// For each object, `true` if it contains a tensor.
fn holds_tensors(pickle: &Pickle) -> Vec<bool> {
    let mut holds = vec![false; pickle.count()];
    let mut seen = vec![false; pickle.count()];
    // The open containers, each with the position of its next object. The list is no longer than the table.
    let mut open = vec![(pickle.root, 0)];
    seen[pickle.root.index()] = true;
    holds[pickle.root.index()] = is_tensor(pickle, pickle.root);
    while let Some((id, next)) = open.last_mut() {
        let id = *id;
        let Some(child) = below(pickle, id, *next) else {
            open.pop();
            if let Some((parent, _)) = open.last() {
                holds[parent.index()] |= holds[id.index()];
            }
            continue;
        };
        *next += 1;
        if !seen[child.index()] {
            seen[child.index()] = true;
            holds[child.index()] = is_tensor(pickle, child);
            if !holds[child.index()] {
                open.push((child, 0));
            }
        }
        holds[id.index()] |= holds[child.index()];
    }
    holds
}

/// The object at a position in a container.
fn below(pickle: &Pickle, id: Id, at: usize) -> Option<Id> {
    match pickle.get(id) {
        Object::Dict(entries) => entries.get(at).map(|(_, value)| *value),
        _ => pickle.items(id)?.get(at).copied(),
    }
}

struct DictWalk<'p> {
    pickle: &'p Pickle,
    storages: &'p Storages,
    holds: Vec<bool>,
    costs: Costs,
    tensors: Vec<(String, StoredTensor)>,
    values: Vec<(String, Value)>,
}

impl<'p> DictWalk<'p> {
    fn new(pickle: &'p Pickle, storages: &'p Storages, limit: ReadLimit) -> Self {
        Self {
            pickle,
            storages,
            holds: holds_tensors(pickle),
            costs: Costs::of(pickle, limit),
            tensors: Vec::new(),
            values: Vec::new(),
        }
    }

    /// All names. A name that occurs twice is an error.
    fn finish(self) -> Result<Named, Refused> {
        let twice = |name: String| Refused::Unknown(format!("two entries have the name `{name}`"));
        let has_groups = self.values.iter().any(|(name, _)| name.contains(PARAM_GROUPS));
        let order = if has_groups {
            self.tensors.iter().map(|(name, _)| name.clone()).collect()
        } else {
            Vec::new()
        };
        let tensors = by_name(self.tensors).map_err(twice)?;
        let values = by_name(self.values).map_err(twice)?;
        match values.keys().find(|name| tensors.contains_key(*name)) {
            None => Ok(Named { tensors, values, order }),
            Some(name) => Err(twice(name.clone())),
        }
    }

    fn entry(&mut self, id: Id, name: String, depth: usize) -> Result<(), Refused> {
        let say = |refused: Refused| refused.said(|what| format!("entry `{name}` {what}"));
        if depth > MAX_DEPTH {
            return Err(say(too_deep()));
        }
        if name.len() > MAX_NAME {
            let len = name.len();
            let what = format!("an entry has a name of {len} bytes; at most {MAX_NAME} are supported");
            return Err(Refused::Unknown(what));
        }
        self.costs.spend(name.len())?;
        let pickle = self.pickle;
        if is_tensor(pickle, id) {
            match tensor(pickle, id, self.storages).map_err(say)? {
                Rebuilt::Tensor(tensor) => {
                    self.costs.hold::<(String, String, StoredTensor, Part)>(1)?;
                    self.costs.hold::<[usize; 3]>(tensor.info.shape().len())?;
                    self.tensors.push((name, tensor));
                }
                Rebuilt::NotRead(what) => self.values.push((name, Value::opaque(&what))),
            }
            return Ok(());
        }
        match pickle.get(id) {
            Object::Dict(entries) if self.holds[id.index()] => self.dict(entries, &name, depth),
            Object::List(items) | Object::Set(items) if self.holds[id.index()] => self.items(items, &name, depth),
            Object::Tuple(items) if self.holds[id.index()] => self.items(items, &name, depth),
            _ => {
                let value = value(pickle, id, depth, &mut self.costs).map_err(say)?;
                self.values.push((name, value));
                Ok(())
            }
        }
    }

    fn dict(&mut self, entries: &[(Id, Id)], name: &str, depth: usize) -> Result<(), Refused> {
        for (key, item) in entries {
            let key = self.key(*key).map_err(|what| format!("entry `{name}` {what}"));
            let key = key.map_err(Refused::Unknown)?;
            self.entry(*item, join(name, &key), depth + 1)?;
        }
        Ok(())
    }

    fn items(&mut self, items: &[Id], name: &str, depth: usize) -> Result<(), Refused> {
        for (at, item) in items.iter().enumerate() {
            self.entry(*item, join(name, &at.to_string()), depth + 1)?;
        }
        Ok(())
    }

    /// A key as a part of a name. PyTorch's optimizers use numbers as keys.
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
