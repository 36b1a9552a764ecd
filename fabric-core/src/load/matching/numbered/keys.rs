//! Numbers parameters by the order of the model's keys in the same file.

use super::Names;
use super::groups::FileGroup;
use crate::entry::strip;
use crate::hash::{HashMap, HashSet};
use crate::source::{Index, StoredTensor};
use crate::state::{Content, NamedOptimizer, NamedParameter, Resolved, Role};

/// The number of each parameter, if the keys of the model can only be its parameters. `state_dict()` has them in the
/// order of `parameters()`, with buffers between them, and tied parameters under each of their names.
pub(crate) fn numbers<V, O>(
    places: &Resolved<V, O>,
    optimizer: &NamedOptimizer<O>,
    groups: &[FileGroup],
    file: Names<'_>,
) -> Option<Vec<Option<u64>>> {
    let [group] = groups else { return None };
    if group.numbers.len() != optimizer.parameters.len() || file.index.order.is_empty() {
        return None;
    }
    let mut parameters: HashMap<&str, usize> = HashMap::default();
    for (at, parameter) in optimizer.parameters.iter().enumerate() {
        parameters.insert(stored_name(places, parameter, file)?, at);
    }
    let module = common(parameters.keys().copied())?;
    let keys = learned(places, module, file);
    let is_one_to_one = keys.len() == parameters.len() && keys.iter().all(|key| parameters.contains_key(key));
    if !is_one_to_one {
        return None;
    }
    let mut numbers = vec![None; optimizer.parameters.len()];
    for (key, &number) in keys.into_iter().zip(&group.numbers) {
        let at = parameters[key];
        if !fits(optimizer, number, file.index.tensors.get(key)?, file.index) {
            return None;
        }
        numbers[at] = Some(number);
    }
    Some(numbers)
}

/// The entry of the file that a parameter of the state is restored from.
pub(crate) fn stored_name<'i, V>(
    places: &Resolved<V, impl Sized>,
    parameter: &NamedParameter,
    file: Names<'i>,
) -> Option<&'i str> {
    let declared = places.items.get(parameter.place).map(|item| &item.scope);
    let names = std::iter::once(&parameter.name)
        .chain(&parameter.aliases)
        .chain(declared.into_iter().flat_map(|scope| &scope.alternatives));
    let mut found = names.filter_map(|name| file.index.tensors.get_key_value(name.as_str()));
    found.next().map(|(name, _)| name.as_str())
}

/// The module that all names lie in; `None` if they lie in several components.
fn common<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let first = names.next()?;
    let mut module = first.rsplit_once('.').map_or("", |(module, _)| module);
    for name in names {
        while strip(name, module).is_none() {
            module = module.rsplit_once('.').map_or("", |(above, _)| above);
        }
    }
    (!module.is_empty()).then_some(module)
}

/// The keys of a module in their order, without buffers and without repeated names of tied tensors.
fn learned<'i, V, O>(places: &Resolved<V, O>, module: &str, file: Names<'i>) -> Vec<&'i str> {
    let kept = buffers(places);
    let mut places_seen = HashSet::default();
    let mut keys = Vec::new();
    for key in file.in_order() {
        let Some(within) = strip(key, module) else { continue };
        let counts_batches = within.rsplit('.').next() == Some("num_batches_tracked");
        let Some(stored) = file.index.tensors.get(key) else {
            continue;
        };
        if counts_batches || kept.contains(key) {
            continue;
        }
        let first = stored.parts.first().filter(|part| part.place.len > 0);
        let is_tied = first.is_some_and(|part| !places_seen.insert(part.first_byte(stored.info.dtype())));
        if !is_tied {
            keys.push(key);
        }
    }
    keys
}

/// The names of the tensors in the state that no optimizer updates.
fn buffers<V, O>(places: &Resolved<V, O>) -> HashSet<&str> {
    let kept = places.items.iter().filter(|item| match &item.content {
        Content::Tensor(tensor, role) => *role == Role::Buffer || !tensor.is_variable(),
        _ => false,
    });
    let names = kept.flat_map(|item| std::iter::once(&item.scope.name).chain(&item.scope.alternatives));
    names.map(String::as_str).collect()
}

/// Returns true if the state under a number has the shape of the parameter.
fn fits<O>(optimizer: &NamedOptimizer<O>, number: u64, parameter: &StoredTensor, index: &Index) -> bool {
    optimizer.state.iter().all(|state| {
        let below = format!("{state}.{number}.");
        let stored = index.tensors.range(below.clone()..);
        let mut stored = stored.take_while(|(name, _)| name.starts_with(&below));
        stored.all(|(_, stored)| {
            let shape = stored.info.shape();
            shape.is_empty() || shape == parameter.info.shape()
        })
    })
}
