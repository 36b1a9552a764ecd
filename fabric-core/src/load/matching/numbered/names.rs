//! Numbers parameters by their names in `param_names`.

use super::Names;
use super::groups::FileGroup;
use crate::hash::HashMap;
use crate::source::names::{WRAPPERS, without};
use crate::state::{NamedOptimizer, Resolved};

/// The largest number of leading segments that are removed from names before the comparison.
const DEEPEST: usize = 6;

/// The number of each parameter that the file names; `None` if the file names other parameters.
///
/// The file names parameters within its module, `fc1.weight` for `model.fc1.weight`, and an optimizer by itself may
/// have shorter names than the file. On either side, all names lose the number of leading segments that makes most of
/// them match. If the model has another name in the file, its keys there are compared, too.
pub(crate) fn numbers<V, O>(
    places: &Resolved<V, O>,
    optimizer: &NamedOptimizer<O>,
    groups: &[FileGroup],
    file: Names<'_>,
) -> Option<Vec<Option<u64>>> {
    let named: Vec<(&str, u64)> = groups
        .iter()
        .flat_map(|group| {
            let names = group.names.iter().flatten().map(String::as_str);
            names.zip(group.numbers.iter().copied())
        })
        .collect();
    let all = named.len().min(optimizer.parameters.len());
    let kinds = [known_names(optimizer), stored_names(places, optimizer, file)];
    let mut best: (usize, Vec<Option<u64>>) = (0, Vec::new());
    for wrapper in std::iter::once("").chain(WRAPPERS.iter().copied()) {
        if !named.iter().any(|(name, _)| name.contains(wrapper)) {
            continue;
        }
        let plain: Vec<(String, u64)> = named
            .iter()
            .map(|(name, number)| (stripped(name, wrapper), *number))
            .collect();
        for known in &kinds {
            for dropped in 0..=DEEPEST {
                let parameters = by_name(known, dropped);
                for dropped in 0..=DEEPEST {
                    let plain = plain
                        .iter()
                        .filter_map(|(name, number)| Some((below(name, dropped)?, *number)));
                    let found = assign(optimizer.parameters.len(), &parameters, plain);
                    let count = found.iter().flatten().count();
                    if count > best.0 {
                        best = (count, found);
                    }
                    if best.0 == all {
                        return Some(best.1);
                    }
                }
            }
        }
    }
    // A few equal names may be a coincidence, so at least half of them must match.
    (best.0 * 2 >= all && best.0 > 0).then_some(best.1)
}

fn stripped(name: &str, wrapper: &str) -> String {
    if wrapper.is_empty() {
        name.to_owned()
    } else {
        without(name, wrapper)
    }
}

/// The name without its first `dropped` segments; `None` if it has no further segment.
fn below(name: &str, dropped: usize) -> Option<&str> {
    (0..dropped).try_fold(name, |name, _| name.split_once('.').map(|(_, below)| below))
}

/// The name of each parameter in the state.
fn known_names<O>(optimizer: &NamedOptimizer<O>) -> Vec<(usize, String)> {
    let parameters = optimizer.parameters.iter().enumerate();
    let names = parameters.flat_map(|(at, parameter)| {
        let names = std::iter::once(&parameter.name).chain(&parameter.aliases);
        names.map(move |name| (at, name.clone()))
    });
    names.collect()
}

/// The name of each parameter's tensor in the file.
fn stored_names<V, O>(places: &Resolved<V, O>, optimizer: &NamedOptimizer<O>, file: Names<'_>) -> Vec<(usize, String)> {
    let parameters = optimizer.parameters.iter().enumerate();
    let names = parameters.filter_map(|(at, parameter)| {
        let name = super::keys::stored_name(places, parameter, file)?;
        Some((at, file.origin(name).to_owned()))
    });
    names.collect()
}

/// Parameters by their names without the first segments; `None` for a name of several parameters.
fn by_name(known: &[(usize, String)], dropped: usize) -> HashMap<&str, Option<usize>> {
    let mut parameters = HashMap::default();
    for (at, name) in known {
        if let Some(rest) = below(name, dropped) {
            let entry = parameters.entry(rest).or_insert(Some(*at));
            if *entry != Some(*at) {
                *entry = None;
            }
        }
    }
    parameters
}

/// Gives each named parameter its number. A parameter that two names match gets none.
fn assign<'n>(
    count: usize,
    parameters: &HashMap<&str, Option<usize>>,
    named: impl Iterator<Item = (&'n str, u64)>,
) -> Vec<Option<u64>> {
    let mut numbers = vec![None; count];
    let mut twice = vec![false; count];
    for (name, number) in named {
        if let Some(at) = parameters.get(name).copied().flatten() {
            twice[at] |= numbers[at].is_some();
            numbers[at] = Some(number);
        }
    }
    let pairs = numbers.into_iter().zip(twice);
    pairs.map(|(number, twice)| number.filter(|_| !twice)).collect()
}
