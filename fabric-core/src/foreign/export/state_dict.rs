//! Puts entries back into the nested dicts that PyTorch's programs expect.
//!
//! Names are split at dots down to the modules; what lies in a module keeps its dotted name, as `Module.state_dict()`
//! gives it:
//!
//! ```text
//! model.fc1.weight            {"model": OrderedDict({"fc1.weight": tensor}),
//! model.norm.eps               "model.norm.eps": 1e-05,
//! optimizer.state...           "optimizer": {"state": {0: {...}}, "param_groups": [{...}]},
//! iteration                    "iteration": 7}
//! ```
//!
//! A module is what has tensors and no optimizer. Plain values inside it stand beside it under their dotted names:
//! `load_state_dict` refuses keys that the module does not have, and readers that join keys with dots, ours among
//! them, find them under the same name.

use std::collections::{BTreeMap, HashSet};

use super::object::{Object, Storages};
use super::optimizer;
use crate::entry::{DType, join};
use crate::error::Result;
use crate::source::{Index, StoredTensor};
use crate::value::Value;

/// Names are split into at most so many dicts inside each other; the rest of a longer name is one key.
const MAX_DEPTH: usize = 64;

const RUNNING_MEAN: &str = "running_mean";
const RUNNING_VAR: &str = "running_var";
const COUNTER: &str = "num_batches_tracked";

/// An entry below a level: its name from there, its full name, and what it is.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) full: &'a str,
    pub(crate) leaf: Leaf<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum Leaf<'a> {
    Tensor(&'a StoredTensor),
    Value(&'a Value),
}

impl Entry<'_> {
    fn is_tensor(&self) -> bool {
        matches!(self.leaf, Leaf::Tensor(_))
    }
}

/// A whole checkpoint as one object.
pub(crate) struct StateDict<'a> {
    pub(crate) object: Object<'a>,
    pub(crate) storages: Storages<'a>,
    /// Entries that have no place in it, sorted.
    pub(crate) left_out: Vec<String>,
    /// Names of tensors that PyTorch expects and the checkpoint does not have.
    pub(crate) added: Vec<String>,
}

/// What a caller decided.
#[derive(Clone, Copy, Default)]
pub(crate) struct Choices {
    /// Whether the entries are those of one module; `None` leaves that to the look of them.
    pub(crate) bare: Option<bool>,
    /// Whether they are a component of a checkpoint, and not the whole of one.
    pub(crate) subtree: bool,
    /// Whether optimizer state is keyed by names instead of numbers.
    pub(crate) parameter_names: bool,
}

/// Arranges the entries of a checkpoint.
///
/// # Errors
/// If PyTorch has no such tensors, or an optimizer's entries do not fit together.
pub(crate) fn arrange(index: &Index, choices: Choices) -> Result<StateDict<'_>> {
    let tensors = index.tensors.iter().map(|(name, stored)| (name, Leaf::Tensor(stored)));
    let values = index.values.iter().map(|(name, value)| (name, Leaf::Value(value)));
    let mut entries: Vec<Entry<'_>> = tensors
        .chain(values)
        .map(|(name, leaf)| Entry { name, full: name, leaf })
        .collect();
    entries.sort_by_key(|entry| entry.name);
    let mut arranging = Arranging {
        choices,
        storages: Storages::default(),
        left_out: Vec::new(),
        added: Vec::new(),
    };
    let object = arranging.whole(&entries)?;
    arranging.left_out.sort();
    Ok(StateDict {
        object,
        storages: arranging.storages,
        left_out: arranging.left_out,
        added: arranging.added,
    })
}

pub(crate) struct Arranging<'a> {
    pub(crate) choices: Choices,
    pub(crate) storages: Storages<'a>,
    pub(crate) left_out: Vec<String>,
    added: Vec<String>,
}

impl<'a> Arranging<'a> {
    fn whole(&mut self, entries: &[Entry<'a>]) -> Result<Object<'a>> {
        if optimizer::is_one(entries) {
            return optimizer::state_dict(self, entries);
        }
        let values = entries.iter().filter(|entry| !entry.is_tensor());
        let is_state = !self.choices.subtree && values.clone().any(|value| !value.name.contains('.'));
        let is_state = is_state || !is_module(entries);
        if self.choices.bare.map_or(is_state, |bare| !bare) {
            return self.split(entries, 0);
        }
        self.left_out.extend(values.map(|value| value.full.to_owned()));
        let tensors: Vec<_> = entries.iter().copied().filter(Entry::is_tensor).collect();
        self.module(&tensors)
    }

    /// One level of names as keys; components that are numbered from 0 are a list.
    fn split(&mut self, entries: &[Entry<'a>], depth: usize) -> Result<Object<'a>> {
        let is_leaf = |name: &str| depth == MAX_DEPTH || !name.contains('.');
        let names = entries.iter().map(|entry| entry.name);
        let leaves: HashSet<&str> = names.filter(|name| is_leaf(name)).collect();
        let mut below: BTreeMap<&str, Vec<Entry<'a>>> = BTreeMap::new();
        let mut object = Vec::new();
        for entry in entries {
            match entry.name.split_once('.').filter(|_| !is_leaf(entry.name)) {
                // A key is there once: what lies below a leaf stands beside it.
                Some((key, name)) if !leaves.contains(key) => {
                    below.entry(key).or_default().push(Entry { name, ..*entry });
                }
                _ => object.push((Object::text(entry.name), self.leaf(entry)?)),
            }
        }
        let count = below.len();
        let is_list = object.is_empty() && (0..count).all(|at| below.contains_key(&*at.to_string()));
        let mut below: Vec<_> = below.into_iter().collect();
        if is_list {
            below.sort_by_key(|(key, _)| key.parse::<usize>().unwrap_or(usize::MAX));
        }
        for (key, entries) in below {
            self.component(key, entries, depth, &mut object)?;
        }
        if is_list && object.len() == count {
            return Ok(Object::List(object.into_iter().map(|(_, object)| object).collect()));
        }
        Ok(Object::Dict(object))
    }

    /// One component under its key, and beside it what has no place in it.
    fn component(
        &mut self,
        key: &str,
        entries: Vec<Entry<'a>>,
        depth: usize,
        level: &mut Vec<(Object<'a>, Object<'a>)>,
    ) -> Result<()> {
        if optimizer::is_one(&entries) {
            level.push((Object::text(key), optimizer::state_dict(self, &entries)?));
        } else if is_module(&entries) {
            let (tensors, values): (Vec<_>, Vec<_>) = entries.into_iter().partition(Entry::is_tensor);
            level.push((Object::text(key), self.module(&tensors)?));
            for value in values {
                level.push((Object::text(join(key, value.name)), self.leaf(&value)?));
            }
        } else {
            level.push((Object::text(key), self.split(&entries, depth + 1)?));
        }
        Ok(())
    }

    /// The tensors of a module under their dotted names, and the counters that PyTorch's `BatchNorm` has beside its
    /// running statistics.
    fn module(&mut self, tensors: &[Entry<'a>]) -> Result<Object<'a>> {
        let names: HashSet<&str> = tensors.iter().map(|entry| entry.name).collect();
        let mut object = Vec::with_capacity(tensors.len());
        for entry in tensors {
            object.push((Object::text(entry.name), self.leaf(entry)?));
            let Some(layer) = layer_of(entry.name, RUNNING_VAR) else {
                continue;
            };
            let counter = join(layer, COUNTER);
            if names.contains(&*join(layer, RUNNING_MEAN)) && !names.contains(&*counter) {
                let full = entry.full.strip_suffix(RUNNING_VAR).unwrap_or_default();
                self.added.push(format!("{full}{COUNTER}"));
                let zero = self.storages.scalar(DType::I64, &0i64.to_le_bytes());
                object.push((Object::Text(counter), Object::Tensor(zero)));
            }
        }
        Ok(Object::StateDict(object))
    }

    /// One entry.
    pub(crate) fn leaf(&mut self, entry: &Entry<'a>) -> Result<Object<'a>> {
        Ok(match entry.leaf {
            Leaf::Tensor(stored) => Object::Tensor(self.storages.entry(entry.full, stored)?),
            Leaf::Value(value) => Object::Value(entry.full, &value.0),
        })
    }
}

/// What lies before the last component of `name`, if that is `last`; empty at the root.
fn layer_of<'n>(name: &'n str, last: &str) -> Option<&'n str> {
    let layer = name.strip_suffix(last)?;
    if layer.is_empty() {
        return Some(layer);
    }
    layer.strip_suffix('.')
}

/// Whether there are tensors here, and no optimizer.
fn is_module(entries: &[Entry<'_>]) -> bool {
    entries.iter().any(Entry::is_tensor) && !entries.iter().any(optimizer::is_inside)
}
