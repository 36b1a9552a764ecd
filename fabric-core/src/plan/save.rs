//! What of a state is written: one tensor for each piece of memory, its further names, values, and what filters left out.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::asked::Wholes;
use crate::entry::{DType, TensorInfo, strip};
use crate::error::StateError;
use crate::filter::Filter;
use crate::hash::{HashMap, map_of};
use crate::options::SaveOptions;
use crate::state::{Content, FilterUse, OptimizerState, Resolved, StorageKey};
use crate::value::{Value, ValueError};

/// A state that is being read, with all its names.
pub(crate) type Reading<'a> = Resolved<Result<Value, ValueError>, &'a dyn OptimizerState>;

/// What a checkpoint will hold.
#[derive(Debug, Default)]
pub(crate) struct SavePlan {
    pub(crate) tensors: Vec<PlannedTensor>,
    /// A further name of the tensor at this place in `tensors`.
    pub(crate) ties: Vec<(String, usize)>,
    /// Names with CBOR bytes, sorted by name.
    pub(crate) values: Vec<(String, Vec<u8>)>,
    /// The same, of values that differ by rank.
    pub(crate) per_rank: Vec<(String, Vec<u8>)>,
    /// Sorted.
    pub(crate) filtered: Vec<String>,
}

/// One tensor to write.
#[derive(Debug)]
pub(crate) struct PlannedTensor {
    /// Its place among the items of the state.
    pub(crate) item: usize,
    pub(crate) name: Arc<str>,
    pub(crate) info: TensorInfo,
}

/// Asks the filters, of which `wholes` are to know what tensors in parts are, and decides what is written.
pub(crate) fn plan(state: &mut Reading<'_>, options: SaveOptions, wholes: &Wholes) -> Result<SavePlan, StateError> {
    let SaveOptions { filters, exclude, .. } = options;
    state.ask(|at| wholes.get(&at));
    for (component, filter) in &filters {
        check_component(state, component)?;
        state.filter(component, filter, |at| wholes.get(&at));
    }
    for used in &state.filters {
        check_filter(used, &filters)?;
    }
    let mut excluded = vec![false; state.items.len()];
    for component in &exclude {
        check_component(state, component)?;
        for (item, excluded) in state.items.iter().zip(&mut excluded) {
            *excluded |= strip(&item.scope.name, component).is_some();
        }
    }
    let mut plan = SavePlan::default();
    let mut by_memory: HashMap<StorageKey, usize> = map_of(state.items.len());
    for (at, item) in state.items.iter().enumerate() {
        let name = &item.scope.name;
        if item.filtered || excluded[at] {
            plan.filtered.push(name.clone());
            continue;
        }
        match &item.content {
            Content::Tensor(tensor, _) => match by_memory.entry(StorageKey::of(tensor)) {
                Entry::Occupied(first) => plan.ties.push((name.clone(), *first.get())),
                Entry::Vacant(place) => {
                    place.insert(plan.tensors.len());
                    plan.tensors.push(planned(at, name, tensor)?);
                }
            },
            Content::Value(value) if item.scope.per_rank => plan.per_rank.push(encoded(name, value.as_ref())?),
            Content::Value(value) => plan.values.push(encoded(name, value.as_ref())?),
            Content::Optimizer { value, .. } => plan.values.push(encoded(name, Ok(value))?),
        }
    }
    plan.values.sort();
    plan.per_rank.sort();
    plan.filtered.sort();
    plan.sort_tensors();
    Ok(plan)
}

impl SavePlan {
    /// Orders tensors by name: equal states have equal files.
    fn sort_tensors(&mut self) {
        let mut order: Vec<usize> = (0..self.tensors.len()).collect();
        order.sort_by(|&a, &b| self.tensors[a].name.cmp(&self.tensors[b].name));
        let mut places = vec![0; order.len()];
        for (now, &before) in order.iter().enumerate() {
            places[before] = now;
        }
        for (_, target) in &mut self.ties {
            *target = places[*target];
        }
        self.ties.sort();
        self.tensors.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

fn check_component(state: &Reading<'_>, name: &str) -> Result<(), StateError> {
    if !name.is_empty() && state.knows(name) {
        return Ok(());
    }
    Err(StateError::NoSuchComponent {
        name: name.to_owned(),
        components: state.components().join(", "),
    })
}

/// A filter that keeps nothing is a typing mistake. One in the schema may meet no tensors at all, in a `None`, say;
/// one that a call gave for a field without tensors is a mistake too.
fn check_filter(used: &FilterUse, called: &[(String, Filter)]) -> Result<(), StateError> {
    let called = called.iter().any(|(component, _)| *component == used.declared);
    if used.kept > 0 || (used.rejected.is_empty() && !called) {
        return Ok(());
    }
    let shown: Vec<_> = used.rejected.iter().take(5).map(|name| format!("`{name}`")).collect();
    let more = if used.rejected.len() > shown.len() { ", …" } else { "" };
    Err(StateError::EmptyFilter {
        declared: used.declared.clone(),
        filter: used.filter.to_string(),
        seen: if shown.is_empty() {
            "its tensors: it has none".to_owned()
        } else {
            format!("its {} tensors ({}{more})", used.rejected.len(), shown.join(", "))
        },
    })
}

fn planned(item: usize, name: &str, tensor: &candle_core::Tensor) -> Result<PlannedTensor, StateError> {
    let info = TensorInfo::from(tensor);
    let whole_bytes = info.elements().is_some_and(|n| n.is_multiple_of(8)) || info.dtype().bits() >= 8;
    let refused = |what: &str| StateError::Tensor {
        name: name.to_owned(),
        what: what.to_owned(),
    };
    if info.dtype() == DType::Other {
        return Err(refused("has an element type that is newer than this library"));
    }
    if info.dtype().bits() < 8 && !(whole_bytes && tensor.is_contiguous()) {
        return Err(refused(
            "has elements smaller than a byte that do not fill whole bytes in one run",
        ));
    }
    Ok(PlannedTensor {
        item,
        name: name.into(),
        info,
    })
}

fn encoded(name: &str, value: Result<&Value, &ValueError>) -> Result<(String, Vec<u8>), StateError> {
    let bytes = value.map_err(Clone::clone).and_then(Value::to_bytes);
    let refused = |error: ValueError| StateError::Value {
        name: name.to_owned(),
        what: error.to_string(),
    };
    bytes.map(|bytes| (name.to_owned(), bytes)).map_err(refused)
}
