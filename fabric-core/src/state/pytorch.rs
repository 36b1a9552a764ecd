//! The names that PyTorch's files use for the parameters of an optimizer.
//!
//! Fabric's files use the full name of the entry (`model.fc1.weight`). PyTorch's files use a number, or the name within
//! the module (`fc1.weight`). `load/matching/numbered` finds the parameter of each number in a file.

use super::{NamedOptimizer, NamedParameter, Resolved};
use crate::entry::root;
use crate::hash::HashMap;

impl<V, O> Resolved<V, O> {
    /// Marks the optimizers whose state comes from another library's file. `written_here` returns true for a name that
    /// the file has.
    pub(crate) fn find_foreign(&mut self, written_here: impl Fn(&str) -> bool) {
        for optimizer in &mut self.optimizers {
            let kind = &self.items[optimizer.kind_item].scope;
            let mut names = std::iter::once(&kind.name).chain(&kind.alternatives);
            optimizer.foreign = !names.any(|name| written_here(name));
        }
    }

    /// Also accepts PyTorch's names for the entries of an optimizer. `numbers` are the file's numbers of the
    /// parameters, `None` for a parameter without one.
    pub(crate) fn accept_pytorch_names(&mut self, optimizer: usize, numbers: &[Option<u64>]) {
        let optimizer = &mut self.optimizers[optimizer];
        for (parameter, number) in optimizer.parameters.iter_mut().zip(numbers) {
            parameter.words.extend(number.map(|number| number.to_string()));
        }
        add_names_within(&mut optimizer.parameters);
        for parameter in &optimizer.parameters {
            for item in &mut self.items[parameter.items.clone()] {
                let entry = item.scope.name.rsplit('.').next().unwrap_or_default().to_owned();
                for (state, word) in optimizer
                    .state
                    .iter()
                    .flat_map(|state| parameter.words.iter().map(move |word| (state, word)))
                {
                    let name = format!("{state}.{word}.{entry}");
                    if name != item.scope.name {
                        item.scope.alternatives.push(name);
                    }
                }
            }
        }
    }
}

impl<O> NamedOptimizer<O> {
    /// The number of each parameter, counted through the groups and, within a group, in declared order; tied parameters
    /// count once. The parameters of an optimizer whose modules are not in the state count in the optimizer's own
    /// order.
    pub(crate) fn positions(&self) -> Vec<Option<u64>> {
        let mut numbers = vec![None; self.parameters.len()];
        let mut count = 0;
        for group in &self.groups {
            let mut positions = group.parameters.clone();
            positions.sort_by_key(|&at| self.parameters.get(at).map_or(usize::MAX, |parameter| parameter.place));
            for at in positions {
                if let Some(number) = numbers.get_mut(at) {
                    *number = Some(count);
                    count += 1;
                }
            }
        }
        numbers
    }
}

fn add_names_within(parameters: &mut [NamedParameter]) {
    let mut within: HashMap<String, usize> = HashMap::default();
    for parameter in &*parameters {
        *within.entry(name_within(&parameter.name).to_owned()).or_default() += 1;
    }
    for parameter in parameters {
        let word = name_within(&parameter.name);
        // A number always means a position, and a name that two parameters share is ambiguous.
        let clear = within.get(word) == Some(&1) && !word.is_empty() && word.parse::<u64>().is_err();
        if clear && parameter.place != usize::MAX {
            parameter.words.push(word.to_owned());
        }
    }
}

/// The name without its first segment, the component.
fn name_within(name: &str) -> &str {
    name.strip_prefix(root(name))
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or_default()
}
