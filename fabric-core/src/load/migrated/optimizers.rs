//! The optimizers of a file: their parameters by name, and the groups that these belong to.

use std::collections::BTreeSet;

use crate::entry::join;
use crate::hash::HashMap;
use crate::source::Index;
use crate::value::Value;

const GROUPS: &str = "param_groups";
const PARAMS: &str = "params";
const NAMES: &str = "param_names";

/// An optimizer of a file.
#[derive(Clone)]
pub(super) struct FileOptimizer {
    /// The name of the optimizer; empty if the file holds it alone.
    pub(super) root: String,
    parameters: Vec<FileParameter>,
    by_name: HashMap<String, usize>,
    /// The hyper-parameters of each group.
    pub(super) options: Vec<Vec<(String, Value)>>,
    /// The groups list numbers.
    is_numbered: bool,
    /// The groups list names beside the numbers.
    has_names: bool,
    has_changed: bool,
}

/// A parameter of an optimizer of a file.
#[derive(Clone)]
pub(super) struct FileParameter {
    /// Its text in the names of its state: its name, or its number.
    pub(super) key: String,
    /// Its name; empty if the file has only a number.
    pub(super) name: String,
    pub(super) group: usize,
}

impl FileOptimizer {
    /// The optimizers of an index: everything with a value `param_groups`, a list of groups that have `params`.
    pub(super) fn all(index: &Index) -> Vec<Self> {
        let groups = index.values.iter().filter_map(|(name, value)| {
            let root = name.strip_suffix(GROUPS)?;
            let root = if root.is_empty() { root } else { root.strip_suffix('.')? };
            Self::of(root, value)
        });
        groups.collect()
    }

    fn of(root: &str, groups: &Value) -> Option<Self> {
        let mut optimizer = Self {
            root: root.to_owned(),
            parameters: Vec::new(),
            by_name: HashMap::default(),
            options: Vec::new(),
            is_numbered: false,
            has_names: false,
            has_changed: false,
        };
        for (number, group) in groups.as_list()?.iter().enumerate() {
            let (mut keys, mut names, mut options) = (None, None, Vec::new());
            for (key, value) in group.as_map()? {
                match key.as_str() {
                    PARAMS => keys = Some(value.as_list()?),
                    NAMES => names = value.as_list(),
                    _ => options.push((key, value)),
                }
            }
            optimizer.add(number, &keys?, names.as_deref());
            optimizer.options.push(options);
        }
        optimizer.count();
        Some(optimizer)
    }

    fn add(&mut self, group: usize, keys: &[Value], names: Option<&[Value]>) {
        for (at, key) in keys.iter().enumerate() {
            let named = names.and_then(|names| names.get(at)?.decode::<String>().ok());
            let (key, name) = match key.decode::<String>() {
                Ok(name) => (name.clone(), name),
                Err(_) => (
                    key.decode::<u64>().unwrap_or_default().to_string(),
                    named.clone().unwrap_or_default(),
                ),
            };
            self.is_numbered |= key != name;
            self.has_names |= named.is_some();
            self.parameters.push(FileParameter { key, name, group });
        }
    }

    fn count(&mut self) {
        let named = self
            .parameters
            .iter()
            .enumerate()
            .filter(|(_, parameter)| !parameter.name.is_empty());
        self.by_name = named.map(|(at, parameter)| (parameter.name.clone(), at)).collect();
    }

    /// Returns true if the file numbers the parameters and does not name them.
    pub(super) fn is_nameless(&self) -> bool {
        self.is_numbered && !self.has_names
    }

    /// The level of the state: `optimizer.state`.
    pub(super) fn state(&self) -> String {
        join(&self.root, "state")
    }

    /// The level of the state of a parameter.
    pub(super) fn state_of(&self, parameter: &FileParameter) -> String {
        join(&self.state(), &parameter.key)
    }

    /// The parameter that an entry is. An optimizer of PyTorch names it relative to the module.
    pub(super) fn parameter(&self, entry: &str) -> Option<&FileParameter> {
        let in_module = || {
            self.is_numbered
                .then(|| self.by_name.get(entry.split_once('.')?.1))
                .flatten()
        };
        let at = self.by_name.get(entry).or_else(in_module)?;
        self.parameters.get(*at)
    }

    /// The name that the optimizer gives to an entry with a new name, as it gave one to the entry with the old name.
    fn renamed<'n>(parameter: &FileParameter, old: &str, new: &'n str) -> &'n str {
        if parameter.name == old {
            return new;
        }
        new.split_once('.').map_or(new, |(_, below)| below)
    }

    /// Puts new parameters in the place of the first of some others, and returns them. `old` and `new` are names of entries.
    pub(super) fn replace(&mut self, old: &[String], new: &[String]) -> Vec<FileParameter> {
        let places: Vec<usize> = old
            .iter()
            .filter_map(|name| {
                let parameter = self.parameter(name)?;
                self.by_name.get(&parameter.name).copied()
            })
            .collect();
        let Some(&first) = places.iter().min() else {
            return Vec::new();
        };
        let before = self.parameters[first].clone();
        let old_name = old
            .iter()
            .find(|name| self.parameter(name).is_some_and(|own| own.name == before.name));
        let old_name = old_name.map_or("", String::as_str);
        let mut number = self
            .parameters
            .iter()
            .filter_map(|parameter| parameter.key.parse::<u64>().ok())
            .max()
            .unwrap_or(0);
        let made: Vec<FileParameter> = new
            .iter()
            .enumerate()
            .map(|(at, entry)| {
                let name = Self::renamed(&before, old_name, entry).to_owned();
                let key = match (self.is_numbered, at) {
                    (false, _) => name.clone(),
                    (true, 0) => before.key.clone(),
                    (true, _) => {
                        number += 1;
                        number.to_string()
                    }
                };
                FileParameter {
                    key,
                    name,
                    group: before.group,
                }
            })
            .collect();
        let gone: BTreeSet<usize> = places.into_iter().collect();
        let kept = std::mem::take(&mut self.parameters);
        for (at, parameter) in kept.into_iter().enumerate() {
            if at == first {
                self.parameters.extend(made.iter().cloned());
            }
            if !gone.contains(&at) {
                self.parameters.push(parameter);
            }
        }
        self.has_changed = true;
        self.count();
        made
    }

    /// Gives a parameter another name, and returns the old and the new one, with their keys.
    pub(super) fn rename(&mut self, old: &str, new: &str) -> Option<(FileParameter, FileParameter)> {
        let before = self.parameter(old)?.clone();
        let at = self.by_name.remove(&before.name)?;
        let name = Self::renamed(&before, old, new).to_owned();
        let parameter = &mut self.parameters[at];
        if !self.is_numbered {
            parameter.key.clone_from(&name);
        }
        parameter.name.clone_from(&name);
        let after = parameter.clone();
        self.by_name.insert(name, at);
        self.has_changed = true;
        Some((before, after))
    }

    /// Writes the groups back into the index.
    pub(super) fn write(&self, index: &mut Index) {
        let name = join(&self.root, GROUPS);
        if !self.has_changed || !index.values.contains_key(&name) {
            return;
        }
        let group = |(number, options): (usize, &Vec<(String, Value)>)| {
            let members = || {
                self.parameters
                    .iter()
                    .filter(move |parameter| parameter.group == number)
            };
            let text = |text: &str| Value::of(text).unwrap_or_else(|_| Value::null());
            let key = |parameter: &FileParameter| match parameter.key.parse::<u64>() {
                Ok(number) if self.is_numbered => Value::of(&number).unwrap_or_else(|_| Value::null()),
                _ => text(&parameter.key),
            };
            let mut entries = options.clone();
            entries.push((PARAMS.to_owned(), Value::list(members().map(key))));
            if self.has_names {
                let names = members().map(|parameter| text(&parameter.name));
                entries.push((NAMES.to_owned(), Value::list(names)));
            }
            Value::map(entries)
        };
        let groups = self.options.iter().enumerate().map(group);
        index.values.insert(name, Value::list(groups));
    }
}
