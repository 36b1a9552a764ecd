//! The tensors of a file that an optimizer's parameters are.
//!
//! This library names a parameter as its tensor: `model.fc.weight`. PyTorch names it relative to the module, `fc.weight`, which may
//! be any level of the file; a file with averaged weights has two such levels.

use super::FileOptimizer;
use crate::entry::{join, strip};
use crate::hash::{HashMap, HashSet};
use crate::source::Index;

impl FileOptimizer {
    /// Finds the tensor of each parameter. Of several levels that hold all of them, the one decides that the state's own optimizers
    /// name; otherwise they are remembered as [`modules`](FileOptimizer::modules).
    pub(super) fn find_entries(&mut self, index: &Index, of_state: &[String]) {
        let names: Vec<&str> = self.parameters().map(|own| own.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        if names.iter().any(|name| index.tensors.contains_key(*name)) {
            return self.settle(index, "");
        }
        let Some(first) = names.first() else { return };
        let ending = format!(".{first}");
        let levels = index.tensors.keys().filter_map(|entry| entry.strip_suffix(&ending));
        let holds_all = |level: &&str| names.iter().all(|name| index.tensors.contains_key(&join(level, name)));
        let mut modules: Vec<String> = levels.filter(holds_all).map(str::to_owned).collect();
        let is_of_state = |module: &String| {
            let mut own = names.iter().map(|name| join(module, name));
            own.any(|entry| of_state.contains(&entry))
        };
        let of_state: Vec<String> = modules.iter().filter(|module| is_of_state(module)).cloned().collect();
        if let [_] = &of_state[..] {
            modules = of_state;
        }
        match &modules[..] {
            [module] => self.settle(index, &module.clone()),
            [] => self.settle_each(index),
            _ => self.modules = modules,
        }
    }

    /// Decides for parameters of several modules: each is the one tensor whose name ends with its name.
    fn settle_each(&mut self, index: &Index) {
        let mut by_ending: HashMap<&str, Option<&str>> = HashMap::default();
        for entry in index.tensors.keys() {
            let endings = entry.match_indices('.').map(|(dot, _)| &entry[dot + 1..]);
            for ending in endings {
                let found = by_ending.entry(ending).or_insert(Some(entry));
                *found = found.filter(|other| *other == entry);
            }
        }
        for (place, parameters) in self.places.iter_mut().enumerate() {
            for parameter in parameters.iter_mut() {
                if let Some(Some(entry)) = by_ending.get(parameter.name.as_str()) {
                    (*entry).clone_into(&mut parameter.entry);
                    self.by_entry.insert((*entry).to_owned(), place);
                }
            }
        }
    }

    /// The name of a parameter that is no tensor of the file, and may be this one: the last two segments are equal.
    pub(in crate::load::migrated) fn lost(&self, entry: &str) -> Option<&str> {
        let ending = |name: &str| {
            let mut segments = name.rsplit('.');
            (segments.next().map(str::to_owned), segments.next().map(str::to_owned))
        };
        let wanted = ending(entry);
        let mut lost = self
            .parameters()
            .filter(|own| own.entry.is_empty() && !own.name.is_empty());
        lost.find(|own| ending(&own.name) == wanted)
            .map(|own| own.name.as_str())
    }

    /// Renames the levels that may hold the parameters. Returns false if a level loses some of them.
    pub(in crate::load::migrated) fn rename_modules(&mut self, pairs: &[(String, String)]) -> bool {
        if self.modules.is_empty() {
            return true;
        }
        let names: HashSet<&str> = self.parameters().map(|own| own.name.as_str()).collect();
        let renamed = |module: &String| {
            let mut count = 0;
            let mut after: Option<&str> = None;
            for (old, new) in pairs {
                let Some(name) = strip(old, module).filter(|name| names.contains(name)) else {
                    continue;
                };
                let level = new.strip_suffix(name)?.strip_suffix('.')?;
                if *after.get_or_insert(level) != level {
                    return None;
                }
                count += 1;
            }
            match after {
                Some(level) if count == names.len() => Some(level.to_owned()),
                Some(_) => None,
                None => Some(module.clone()),
            }
        };
        let renamed: Option<Vec<String>> = self.modules.iter().map(renamed).collect();
        let is_whole = renamed.is_some();
        self.modules = renamed.unwrap_or_else(|| self.modules.clone());
        is_whole
    }

    /// Decides that the parameters are the tensors below a level.
    pub(super) fn settle(&mut self, index: &Index, module: &str) {
        self.modules.clear();
        for (place, parameters) in self.places.iter_mut().enumerate() {
            for parameter in parameters.iter_mut().filter(|parameter| !parameter.name.is_empty()) {
                let entry = join(module, &parameter.name);
                if index.tensors.contains_key(&entry) || index.filtered.contains(&entry) {
                    self.by_entry.insert(entry.clone(), place);
                    parameter.entry = entry;
                }
            }
        }
    }
}

/// The name that an optimizer gives to the tensor `new`, if it gave the name `name` to `old`: the part below the module.
pub(super) fn name_of(old: &str, name: &str, new: &str) -> String {
    let module = old.strip_suffix(name).unwrap_or_default().trim_end_matches('.');
    if module.is_empty() {
        return new.to_owned();
    }
    if let Some(below) = strip(new, module).filter(|below| !below.is_empty()) {
        return below.to_owned();
    }
    // The module has a new name, of as many segments.
    let segments = module.split('.').count();
    let below = new.splitn(segments + 1, '.').nth(segments);
    below.unwrap_or(new).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_keeps_its_name_within_the_module() {
        for (old, name, new, expected) in [
            ("model.fc.weight", "model.fc.weight", "net.fc.weight", "net.fc.weight"),
            ("model.fc.weight", "fc.weight", "model.out.weight", "out.weight"),
            ("model.fc.weight", "fc.weight", "net.fc.weight", "fc.weight"),
            ("a.b.fc.weight", "fc.weight", "c.d.fc.weight", "fc.weight"),
            ("model.w", "w", "w", "w"),
        ] {
            assert_eq!(name_of(old, name, new), expected, "{old} {name} {new}");
        }
    }
}
