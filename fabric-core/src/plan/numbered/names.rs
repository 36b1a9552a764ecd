//! Numbers by the names that stand beside them.

use super::Names;
use super::groups::FileGroup;
use crate::hash::HashMap;
use crate::source::names::{WRAPPERS, without};
use crate::state::{NamedOptimizer, Resolved};

/// Names have no more segments in front of those that a file has.
const DEEPEST: usize = 8;

/// The number of each parameter whose name the file has; `None` if it has no name of any.
///
/// The file has names within its module, `fc1.weight` for `model.fc1.weight`: those that all names of the state lose in
/// front are as many as make most of the names match. A model of another name in the file is found by its own keys.
pub(super) fn numbers<V, O>(
    places: &Resolved<V, O>,
    optimizer: &NamedOptimizer<O>,
    groups: &[FileGroup],
    file: Names<'_>,
) -> Option<Vec<Option<u64>>> {
    let named = || {
        groups.iter().flat_map(|group| {
            let names = group.names.iter().flatten().map(String::as_str);
            names.zip(group.numbers.iter().copied())
        })
    };
    let kinds = [known_names(optimizer), stored_names(places, optimizer, file)];
    let wrappers = std::iter::once("").chain(WRAPPERS.iter().copied());
    let mut best: Option<(usize, Vec<Option<u64>>)> = None;
    for wrapper in wrappers {
        for known in &kinds {
            for dropped in 0..=DEEPEST {
                let parameters = by_name(known, dropped);
                if parameters.is_empty() {
                    break;
                }
                let found = assign(optimizer.parameters.len(), &parameters, wrapper, named());
                let count = found.iter().flatten().count();
                if count == optimizer.parameters.len() {
                    return Some(found);
                }
                if best.as_ref().is_none_or(|(most, _)| count > *most) {
                    best = Some((count, found));
                }
            }
        }
    }
    best.filter(|(count, _)| *count > 0).map(|(_, numbers)| numbers)
}

/// What the state calls each parameter.
fn known_names<O>(optimizer: &NamedOptimizer<O>) -> Vec<(usize, String)> {
    let parameters = optimizer.parameters.iter().enumerate();
    let names = parameters.flat_map(|(at, parameter)| {
        let names = std::iter::once(&parameter.name).chain(&parameter.aliases);
        names.map(move |name| (at, name.clone()))
    });
    names.collect()
}

/// What the file calls the tensor of each parameter.
fn stored_names<V, O>(places: &Resolved<V, O>, optimizer: &NamedOptimizer<O>, file: Names<'_>) -> Vec<(usize, String)> {
    let parameters = optimizer.parameters.iter().enumerate();
    let names = parameters.filter_map(|(at, parameter)| {
        let name = super::keys::stored_name(places, parameter, file)?;
        Some((at, file.origin(name).to_owned()))
    });
    names.collect()
}

/// Parameters by their names without the first segments; a name that two of them have means neither.
fn by_name(known: &[(usize, String)], dropped: usize) -> HashMap<&str, Option<usize>> {
    let mut parameters = HashMap::default();
    for (at, name) in known {
        let mut rest = name.as_str();
        let mut is_long_enough = true;
        for _ in 0..dropped {
            match rest.split_once('.') {
                Some((_, below)) => rest = below,
                None => is_long_enough = false,
            }
        }
        if is_long_enough {
            let entry = parameters.entry(rest).or_insert(Some(*at));
            if *entry != Some(*at) {
                *entry = None;
            }
        }
    }
    parameters
}

/// Gives each named parameter its number; one that two names mean gets none.
fn assign<'n>(
    count: usize,
    parameters: &HashMap<&str, Option<usize>>,
    wrapper: &str,
    named: impl Iterator<Item = (&'n str, u64)>,
) -> Vec<Option<u64>> {
    let mut numbers = vec![None; count];
    let mut twice = vec![false; count];
    for (name, number) in named {
        let plain = if wrapper.is_empty() {
            name.to_owned()
        } else {
            without(name, wrapper)
        };
        if let Some(at) = parameters.get(plain.as_str()).copied().flatten() {
            twice[at] |= numbers[at].is_some();
            numbers[at] = Some(number);
        }
    }
    let pairs = numbers.into_iter().zip(twice);
    pairs.map(|(number, twice)| number.filter(|_| !twice)).collect()
}
