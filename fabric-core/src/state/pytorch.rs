//! The words by which files of PyTorch name the parameters of an optimizer.
//!
//! Our own files have the full name of the entry (`model.fc1.weight`). PyTorch's have a number, or the name within the
//! module (`fc1.weight`). Numbers count through the groups, and within a group through the parameters as
//! `model.parameters()` gives them: in declared order, tied ones once. An optimizer that no module stands beside is
//! counted in the order in which it was given its parameters.

use super::{NamedOptimizer, Resolved};
use crate::entry::root;
use crate::hash::HashMap;

impl<V, O> Resolved<V, O> {
    /// Lets the entries of every optimizer that did not come from a file of ours be found under PyTorch's names too.
    /// `written_here` says of a name whether the file has it.
    pub(crate) fn accept_pytorch_names(&mut self, written_here: impl Fn(&str) -> bool) {
        for optimizer in &mut self.optimizers {
            let kind = &self.items[optimizer.kind_item].scope;
            let ours = std::iter::once(&kind.name)
                .chain(&kind.alternatives)
                .any(|name| written_here(name));
            if ours {
                continue;
            }
            optimizer.foreign = true;
            add_words(optimizer);
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
}

fn add_words<O>(optimizer: &mut NamedOptimizer<O>) {
    let mut count = 0;
    for group in &optimizer.groups {
        let mut positions = group.parameters.clone();
        positions.sort_by_key(|&at| {
            optimizer
                .parameters
                .get(at)
                .map_or(usize::MAX, |parameter| parameter.place)
        });
        for at in positions {
            if let Some(parameter) = optimizer.parameters.get_mut(at) {
                parameter.words.push(count.to_string());
                count += 1;
            }
        }
    }
    let mut within: HashMap<String, usize> = HashMap::default();
    for parameter in &optimizer.parameters {
        *within.entry(name_within(&parameter.name).to_owned()).or_default() += 1;
    }
    for parameter in &mut optimizer.parameters {
        let word = name_within(&parameter.name);
        // A number always means a position, and a name that two parameters have means neither.
        let clear = within.get(word) == Some(&1) && !word.is_empty() && word.parse::<u64>().is_err();
        if clear && parameter.place != usize::MAX {
            parameter.words.push(word.to_owned());
        }
    }
}

/// The name without the component.
fn name_within(name: &str) -> &str {
    name.strip_prefix(root(name))
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or_default()
}
