//! Rebuilds the nested dicts that PyTorch programs expect from the entries of a checkpoint.
//!
//! Names are split at dots down to the modules. The tensors of a module keep their dotted names, as in
//! `Module.state_dict()`:
//!
//! ```text
//! model.fc1.weight            {"model": OrderedDict({"fc1.weight": tensor}),
//! model.norm.eps               "model.norm.eps": 1e-05,
//! optimizer.state...           "optimizer": {"state": {0: {...}}, "param_groups": [{...}]},
//! iteration                    "iteration": 7}
//! ```
//!
//! A module is a level with tensors and without an optimizer. The plain values of a module stand beside it under their
//! dotted names: `load_state_dict` refuses keys that the module does not have, and readers that join keys with dots,
//! this library among them, find the values under the same name.

use std::collections::{BTreeMap, HashSet};

use super::object::{Object, Storages};
use super::optimizer;
use crate::entry::{DType, join};
use crate::error::Result;
use crate::source::{Index, StoredTensor};
use crate::value::Value;

/// The deepest nesting of dicts that names are split into. The rest of a longer name is one key.
const MAX_DEPTH: usize = 64;

const RUNNING_MEAN: &str = "running_mean";
const RUNNING_VAR: &str = "running_var";
const COUNTER: &str = "num_batches_tracked";

/// An entry below a level: its name relative to the level, its full name, and its contents.
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
pub(super) struct StateDict<'a> {
    pub(crate) object: Object<'a>,
    pub(crate) storages: Storages<'a>,
    /// The names of the entries that the dicts have no place for, sorted.
    pub(crate) left_out: Vec<String>,
    /// The names of tensors that PyTorch expects and the checkpoint does not have.
    pub(crate) added: Vec<String>,
}

/// The choices of the caller.
#[derive(Clone, Copy, Default)]
pub(super) struct Choices {
    /// `true` if the entries are those of one module; `None` decides by the entries.
    pub(crate) bare: Option<bool>,
    /// `true` if the entries are a component of a checkpoint, `false` for a whole checkpoint.
    pub(crate) subtree: bool,
    /// Optimizer state is keyed by names, and not by numbers.
    pub(crate) parameter_names: bool,
}

/// Arranges the entries of a checkpoint. `source` has them before a conversion of their elements.
///
/// # Errors
/// If PyTorch has no such element type, or the entries of an optimizer contradict each other.
pub(super) fn arrange<'a>(index: &'a Index, source: &'a Index, choices: Choices) -> Result<StateDict<'a>> {
    let tensors = index.tensors.iter().map(|(name, stored)| (name, Leaf::Tensor(stored)));
    let values = index.values.iter().map(|(name, value)| (name, Leaf::Value(value)));
    let mut entries: Vec<Entry<'a>> = tensors
        .chain(values)
        .map(|(name, leaf)| Entry { name, full: name, leaf })
        .collect();
    entries.sort_by_key(|entry| entry.name);
    let mut arranging = Arranging {
        choices,
        storages: Storages::of(source),
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

pub(super) struct Arranging<'a> {
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

    /// Splits one level of names into keys. Components that are numbered from 0 become a list.
    fn split(&mut self, entries: &[Entry<'a>], depth: usize) -> Result<Object<'a>> {
        let is_leaf = |name: &str| depth == MAX_DEPTH || !name.contains('.');
        let names = entries.iter().map(|entry| entry.name);
        let leaves: HashSet<&str> = names.filter(|name| is_leaf(name)).collect();
        let mut below: BTreeMap<&str, Vec<Entry<'a>>> = BTreeMap::new();
        let mut object = Vec::new();
        for entry in entries {
            match entry.name.split_once('.').filter(|_| !is_leaf(entry.name)) {
                // Every key is written once: entries below the name of a leaf stand beside the leaf.
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

    /// Adds one component under its key, and the values that have no place in it beside it.
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

    /// The tensors of a module under their dotted names, with the batch counters that PyTorch's `BatchNorm` has beside
    /// its running statistics.
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

    pub(crate) fn leaf(&mut self, entry: &Entry<'a>) -> Result<Object<'a>> {
        Ok(match entry.leaf {
            Leaf::Tensor(stored) => Object::Tensor(self.storages.entry(entry.full, stored)?),
            Leaf::Value(value) => Object::Value(entry.full, &value.0),
        })
    }
}

/// The part of `name` before its last component, if that component is `last`; empty at the root.
fn layer_of<'n>(name: &'n str, last: &str) -> Option<&'n str> {
    let layer = name.strip_suffix(last)?;
    if layer.is_empty() {
        return Some(layer);
    }
    layer.strip_suffix('.')
}

/// Returns true for entries with tensors and without an optimizer.
fn is_module(entries: &[Entry<'_>]) -> bool {
    entries.iter().any(Entry::is_tensor) && !entries.iter().any(optimizer::is_inside)
}
