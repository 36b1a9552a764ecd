//! Renames the entries of an index: subtrees, prefixes of wrappers, renames, and maps that are split into entries.
//! These transformations precede the matching, do no I/O, and keep the name in the file for every entry.

mod renames;

use std::collections::{BTreeMap, BTreeSet};

use self::renames::Renames;
pub(crate) use self::renames::without;
use super::Index;
use crate::entry::{join, strip};
use crate::error::{Error, Result};
use crate::hash::HashSet;
use crate::options::LoadOptions;
use crate::value::Value;

/// Segments that PyTorch's wrappers insert anywhere into a name.
pub(super) const ANYWHERE: &[&str] = &["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];

/// The key of an optimizer's hyper-parameters.
const GROUPS: &str = "param_groups";

/// All segments that wrappers insert, at the start of a name or anywhere.
pub(crate) const WRAPPERS: &[&str] = &[
    "module.",
    "_orig_mod.",
    "_fsdp_wrapped_module.",
    "_checkpoint_wrapped_module.",
];

/// An index with new names.
#[derive(Clone, Debug)]
pub(crate) struct Renamed {
    pub(crate) index: Index,
    /// The name in the file, by the new name.
    origins: BTreeMap<String, String>,
    /// The maps of the file that were split into entries.
    apart: BTreeSet<String>,
    /// The prefixes of the call that no name has.
    pub(crate) idle_prefixes: Vec<String>,
}

impl Renamed {
    /// The index under the names that `options` give; `None` if the options change no name.
    ///
    /// # Errors
    /// If two entries get one name, nothing lies below the subtree, or a rename finds no entry.
    pub(crate) fn by(options: &LoadOptions, index: &Index) -> Result<Option<Self>> {
        if options.root.is_none() && options.prefixes.is_empty() && options.renames.is_empty() {
            return Ok(None);
        }
        let renames = Renames::of(options);
        let optimizers = Optimizers::of(&renames, index);
        let rename = |name: &str| Some(optimizers.with_parameters_renamed(renames.entry(name)?));
        let mut renamed = Self {
            index: Index {
                origin: index.origin.clone(),
                filtered: index.filtered.iter().filter_map(|name| rename(name)).collect(),
                tensors_only: index.tensors_only,
                order: index.order.iter().filter_map(|name| rename(name)).collect(),
                cuts: index
                    .cuts
                    .iter()
                    .filter_map(|(name, cut)| Some((rename(name)?, cut.clone())))
                    .collect(),
                edits: index.edits.renamed(rename),
                structs: index
                    .structs
                    .iter()
                    .filter_map(|record| renames.record(record))
                    .collect(),
                ..Index::default()
            },
            origins: BTreeMap::new(),
            apart: BTreeSet::new(),
            idle_prefixes: Vec::new(),
        };
        for old in index.names() {
            let Some(new) = rename(old) else { continue };
            if new.is_empty() {
                return Err(Error::Options(format!("entry `{old}` would be left without a name")));
            }
            if let Some(tensor) = index.tensors.get(old) {
                renamed.index.tensors.insert(new.clone(), tensor.clone());
            }
            if let Some(value) = index.values.get(old) {
                let value = optimizers.groups(&new, value).unwrap_or_else(|| value.clone());
                renamed.index.values.insert(new.clone(), value);
            }
            if let Some(other) = renamed.origins.insert(new.clone(), old.to_owned()) {
                return Err(Error::Options(format!(
                    "entries `{other}` and `{old}` of {} would both have the name `{new}`",
                    index.origin
                )));
            }
        }
        if renamed.origins.is_empty() {
            let root = options.root.as_deref().unwrap_or_default();
            let roots: BTreeSet<&str> = index.names().map(crate::entry::root).collect();
            let roots: Vec<_> = roots.into_iter().take(8).map(|name| format!("`{name}`")).collect();
            return Err(Error::Options(format!(
                "{} has nothing below `{root}`; at its first level are {}",
                index.origin,
                roots.join(", ")
            )));
        }
        renames.check(index)?;
        renamed.idle_prefixes = renames.idle_prefixes();
        Ok(Some(renamed))
    }

    /// The index under the file's names.
    fn same(index: &Index) -> Self {
        Self {
            index: index.clone(),
            origins: index.names().map(|name| (name.to_owned(), name.to_owned())).collect(),
            apart: BTreeSet::new(),
            idle_prefixes: Vec::new(),
        }
    }

    /// The entries of `file` that have no new name, because they do not lie below the root.
    pub(crate) fn rest(&self, file: &Index) -> Index {
        let mut rest = file.clone();
        for origin in self.origins.values() {
            rest.tensors.remove(origin);
            rest.values.remove(origin);
        }
        rest
    }

    /// The name in the file of the entry with the new name `name`.
    pub(crate) fn origin(&self, name: &str) -> Option<&str> {
        self.origins.get(name).map(String::as_str)
    }

    /// The entries of `file` that are not in `consumed`, under the file's names. `consumed` has new names.
    pub(crate) fn left(&self, file: &Index, consumed: &HashSet<&str>) -> Index {
        let mut left = file.clone();
        // A split map is consumed as a whole, because the names of its parts begin with the map's name.
        for origin in self.origins.values().chain(&self.apart) {
            left.tensors.remove(origin);
            left.values.remove(origin);
        }
        for (name, origin) in self
            .origins
            .iter()
            .filter(|(name, _)| !consumed.contains(name.as_str()))
        {
            if let Some(tensor) = self.index.tensors.get(name) {
                left.tensors.insert(origin.clone(), tensor.clone());
            }
            if let Some(value) = self.index.values.get(name) {
                left.values.insert(origin.clone(), value.clone());
            }
        }
        left
    }
}

/// The optimizers of a file. The names of their state contain the names of parameters, which are renamed with them.
struct Optimizers<'r, 'o> {
    renames: &'r Renames<'o>,
    /// The prefixes of the names of their state, under the optimizers' new names.
    states: Vec<String>,
}

impl<'r, 'o> Optimizers<'r, 'o> {
    fn of(renames: &'r Renames<'o>, index: &Index) -> Self {
        let groups = index.values.keys().filter_map(|name| {
            let renamed = renames.entry(name)?;
            let optimizer = renamed.strip_suffix(GROUPS)?;
            let is_segment = optimizer.is_empty() || optimizer.ends_with('.');
            is_segment.then(|| format!("{optimizer}state"))
        });
        Self {
            renames,
            states: groups.collect(),
        }
    }

    /// Renames the parameter in the name of an entry of optimizer state. Other names stay.
    fn with_parameters_renamed(&self, name: String) -> String {
        for state in &self.states {
            if let Some(parameter) = strip(&name, state).filter(|rest| !rest.is_empty()) {
                return join(state, &self.renames.parameter(parameter));
            }
        }
        name
    }

    /// The groups of an optimizer, with renamed parameters.
    fn groups(&self, name: &str, stored: &Value) -> Option<Value> {
        let optimizer = name.strip_suffix(GROUPS)?;
        let is_one = self
            .states
            .iter()
            .any(|state| state.strip_suffix("state") == Some(optimizer));
        let groups = is_one.then(|| stored.as_list()).flatten()?;
        let renamed = |param: Value| match param.decode::<String>() {
            Ok(name) => Value::of(&self.renames.parameter(&name)).unwrap_or(param),
            Err(_) => param,
        };
        let group = |group: &Value| {
            let options = group.as_map()?.into_iter().map(|(key, value)| {
                let params = (key == "params").then(|| value.as_list()).flatten();
                let value = params.map_or(value, |params| Value::list(params.into_iter().map(renamed)));
                (key, value)
            });
            Some(Value::map(options))
        };
        let groups: Option<Vec<Value>> = groups.iter().map(group).collect();
        groups.map(Value::list)
    }
}

/// Splits the maps for which the state has entries inside. A Python dict without tensors is one value, and a struct of
/// the state may be several entries. `wanted` are the names of the state's entries.
pub(crate) fn unfold<'w>(
    renamed: Option<Renamed>,
    index: &Index,
    wanted: impl Iterator<Item = &'w str>,
) -> Option<Renamed> {
    let values = &renamed.as_ref().map_or(index, |renamed| &renamed.index).values;
    let maps: BTreeSet<&String> = values
        .iter()
        .filter(|(_, value)| value.as_map_entries().is_some())
        .map(|(name, _)| name)
        .collect();
    if maps.is_empty() {
        return renamed;
    }
    let wanted: BTreeSet<&str> = wanted.collect();
    let is_wanted_below = |name: &str| {
        let below = format!("{name}.");
        let next = wanted.range(below.as_str()..).next();
        next.is_some_and(|next| next.starts_with(&below))
    };
    // A map that the state has as one value stays whole, even if other entries have names below it.
    let is_apart = |name: &str| is_wanted_below(name) && !wanted.contains(name);
    let mut open: Vec<String> = maps.into_iter().filter(|name| is_apart(name)).cloned().collect();
    if open.is_empty() {
        return renamed;
    }
    let mut renamed = renamed.unwrap_or_else(|| Renamed::same(index));
    while let Some(name) = open.pop() {
        let Some(entries) = renamed.index.values.get(&name).and_then(Value::as_map_entries) else {
            continue;
        };
        let parts: Vec<(String, Value)> = entries
            .into_iter()
            .map(|(key, value)| (join(&name, &key), value))
            .collect();
        // A map stays whole if one of its parts would hide another entry.
        if parts.iter().any(|(part, _)| renamed.index.contains(part)) {
            continue;
        }
        renamed.index.values.remove(&name);
        let origin = renamed.origins.remove(&name).unwrap_or_else(|| name.clone());
        renamed.apart.insert(origin.clone());
        for (part, value) in parts {
            if value.as_map_entries().is_some() && is_apart(&part) {
                open.push(part.clone());
            }
            let rest = strip(&part, &name).unwrap_or_default();
            renamed.origins.insert(part.clone(), join(&origin, rest));
            renamed.index.values.insert(part, value);
        }
    }
    Some(renamed)
}
