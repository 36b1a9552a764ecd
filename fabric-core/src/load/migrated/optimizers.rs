//! The optimizers of a file: their parameters by name, and the groups that these belong to.

mod modules;

use std::collections::BTreeSet;

use crate::entry::{join, strip};
use crate::hash::HashMap;
use crate::load::raw::optimizers::{GROUPS, NAMES, PARAMS, root};
use crate::source::Index;
use crate::value::Value;

/// An optimizer of a file.
#[derive(Clone)]
pub(super) struct FileOptimizer {
    /// The name of the optimizer; empty if the file holds it alone.
    pub(super) root: String,
    /// The parameters in the order of the groups. A place holds several where a parameter was cut, and none where it went.
    places: Vec<Vec<FileParameter>>,
    /// The places by the names of the entries.
    by_entry: HashMap<String, usize>,
    /// The levels that may hold the parameters, if the file does not say which of several does.
    pub(super) modules: Vec<String>,
    /// The hyper-parameters of each group.
    pub(super) options: Vec<Vec<(String, Value)>>,
    /// The numbers of parameters that the groups have in the file.
    counts: Vec<usize>,
    /// The groups list numbers.
    is_numbered: bool,
    /// The groups list names beside the numbers.
    has_names: bool,
    has_changed: bool,
    /// The first number that no parameter has.
    free: u64,
}

/// A parameter of an optimizer of a file.
#[derive(Clone)]
pub(super) struct FileParameter {
    /// Its text in the names of its state: its name, or its number.
    pub(super) key: String,
    /// The name that the optimizer gives it; empty if the file has only a number.
    pub(super) name: String,
    /// The name of the tensor in the file that it is; empty if the file has none, or does not say which.
    pub(super) entry: String,
    pub(super) group: usize,
}

impl FileOptimizer {
    /// The optimizers of an index: everything with a value `param_groups`, a list of groups that have `params`. `parameters` are the
    /// names that the optimizers of a state give to theirs.
    pub(super) fn all(index: &Index, parameters: &[String]) -> Vec<Self> {
        let groups = index.values.iter();
        let groups = groups.filter_map(|(name, value)| Self::of(index, root(name)?, value, parameters));
        groups.collect()
    }

    /// The optimizer with these groups.
    pub(super) fn of(index: &Index, root: &str, groups: &Value, parameters: &[String]) -> Option<Self> {
        let mut optimizer = Self {
            root: root.to_owned(),
            places: Vec::new(),
            by_entry: HashMap::default(),
            modules: Vec::new(),
            options: Vec::new(),
            counts: Vec::new(),
            is_numbered: false,
            has_names: false,
            has_changed: false,
            free: 0,
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
            let keys = keys?;
            optimizer.add(number, &keys, names.as_deref());
            optimizer.options.push(options);
            optimizer.counts.push(keys.len());
        }
        optimizer.find_entries(index, parameters);
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
            if let Ok(number) = key.parse::<u64>() {
                self.free = self.free.max(number.saturating_add(1));
            }
            self.is_numbered |= key != name;
            self.has_names |= named.is_some();
            self.places.push(vec![FileParameter {
                key,
                name,
                entry: String::new(),
                group,
            }]);
        }
    }

    /// Returns true if the file numbers the parameters and does not name them.
    pub(super) fn is_nameless(&self) -> bool {
        self.is_numbered && !self.has_names
    }

    /// The level of the state: `optimizer.state`.
    pub(super) fn state(&self) -> String {
        join(&self.root, "state")
    }

    /// The level of the state of a parameter: `optimizer.state.fc1.weight`.
    pub(super) fn state_of(&self, parameter: &FileParameter) -> String {
        join(&self.state(), &parameter.key)
    }

    /// The parameter that an entry is.
    pub(super) fn parameter(&self, entry: &str) -> Option<&FileParameter> {
        let place = self.by_entry.get(entry)?;
        self.places[*place].iter().find(|parameter| parameter.entry == entry)
    }

    fn parameters(&self) -> impl Iterator<Item = &FileParameter> {
        self.places.iter().flatten()
    }

    /// The parameter `before` with another entry, under the name that the optimizer gives to it.
    fn moved(before: &FileParameter, entry: &str) -> FileParameter {
        FileParameter {
            name: modules::name_of(&before.entry, &before.name, entry),
            entry: entry.to_owned(),
            ..before.clone()
        }
    }

    /// Puts new parameters in the place of the first of some others, and returns them. `old` and `new` are names of entries.
    pub(super) fn replace(&mut self, old: &[String], new: &[String]) -> Vec<FileParameter> {
        let places: BTreeSet<usize> = old
            .iter()
            .filter_map(|entry| self.by_entry.get(entry).copied())
            .collect();
        let Some(&first) = places.first() else {
            return Vec::new();
        };
        let is_old = |parameter: &FileParameter| old.contains(&parameter.entry);
        let Some(at) = self.places[first].iter().position(is_old) else {
            return Vec::new();
        };
        let before = self.places[first][at].clone();
        for place in &places {
            self.places[*place].retain(|parameter| !is_old(parameter));
        }
        for entry in old {
            self.by_entry.remove(entry);
        }
        let mut made = Vec::with_capacity(new.len());
        for entry in new {
            let mut parameter = Self::moved(&before, entry);
            if !self.is_numbered {
                parameter.key.clone_from(&parameter.name);
            } else if !made.is_empty() {
                parameter.key = self.free.to_string();
                self.free = self.free.saturating_add(1);
            }
            made.push(parameter);
        }
        self.by_entry.extend(new.iter().map(|entry| (entry.clone(), first)));
        self.places[first].splice(at..at, made.iter().cloned());
        self.has_changed = true;
        made
    }

    /// Gives parameters other names, all at once, and returns those before and after. The pairs are names of entries.
    pub(super) fn rename(&mut self, pairs: &[(String, String)]) -> Vec<(FileParameter, FileParameter)> {
        let mut renamed = Vec::new();
        let mut taken = Vec::new();
        for (old, new) in pairs {
            let Some(place) = self.by_entry.remove(old) else {
                continue;
            };
            let is_old = |parameter: &FileParameter| parameter.entry == *old;
            if let Some(at) = self.places[place].iter().position(is_old) {
                taken.push((place, at, new));
            }
        }
        for (place, at, new) in taken {
            let before = self.places[place][at].clone();
            let mut after = Self::moved(&before, new);
            if !self.is_numbered {
                after.key.clone_from(&after.name);
            }
            self.places[place][at].clone_from(&after);
            self.by_entry.insert(new.clone(), place);
            self.has_changed = true;
            renamed.push((before, after));
        }
        renamed
    }

    /// Says that a level, which may hold the parameters, goes. If one is left, it holds them.
    pub(super) fn forget_module(&mut self, index: &Index, is_gone: impl Fn(&str) -> bool) {
        if self.modules.is_empty() {
            return;
        }
        self.modules.retain(|module| !is_gone(module));
        if let [module] = &self.modules[..] {
            let module = module.clone();
            self.settle(index, &module);
        }
    }

    /// The level that may hold the parameters and has this entry, among several such levels.
    pub(super) fn uncertain(&self, entry: &str) -> Option<&str> {
        let is_parameter = |name: &str| self.parameters().any(|parameter| parameter.name == name);
        let mut modules = self.modules.iter();
        let module = modules.find(|module| strip(entry, module).is_some_and(is_parameter))?;
        Some(module)
    }

    /// Writes the groups back into the index.
    pub(super) fn write(&self, index: &mut Index) {
        let name = join(&self.root, GROUPS);
        if !self.has_changed || !index.values.contains_key(&name) {
            return;
        }
        let mut members: Vec<Vec<&FileParameter>> = vec![Vec::new(); self.options.len()];
        for parameter in self.parameters() {
            members[parameter.group].push(parameter);
        }
        let text = |text: &str| Value::of(text).unwrap_or_else(|_| Value::null());
        let key = |parameter: &&FileParameter| match parameter.key.parse::<u64>() {
            Ok(number) if self.is_numbered => Value::of(&number).unwrap_or_else(|_| Value::null()),
            _ => text(&parameter.key),
        };
        let group = |(members, options): (Vec<&FileParameter>, &Vec<(String, Value)>)| {
            let mut entries = options.clone();
            entries.push((PARAMS.to_owned(), Value::list(members.iter().map(key))));
            if self.has_names {
                let names = members.iter().map(|parameter| text(&parameter.name));
                entries.push((NAMES.to_owned(), Value::list(names)));
            }
            Value::map(entries)
        };
        // A group that has lost all of its parameters is none any more.
        let groups = members.into_iter().zip(&self.options).zip(&self.counts);
        let groups = groups.filter(|((members, _), count)| !members.is_empty() || **count == 0);
        let groups: Vec<Value> = groups.map(|(own, _)| group(own)).collect();
        index.values.insert(name, Value::list(groups));
    }
}
