//! What of a state is written: one tensor for each piece of memory, its further names, values, and what filters left out.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::dist::asked::Wholes;
use crate::entry::{DType, TensorInfo, join, strip};
use crate::error::StateError;
use crate::hash::{HashMap, HashSet, map_of};
use crate::options::SaveOptions;
use crate::state::{Content, FilterUse, NamedOptimizer, OptimizerState, Resolved, StorageKey};
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
    for (field, filter) in &filters {
        state.check_handle(field)?;
        state.filter(&field.name, filter, |at| wholes.get(&at));
    }
    state.filters.iter().try_for_each(check_filter)?;
    let mut excluded = vec![false; state.items.len()];
    for field in &exclude {
        state.check_handle(field)?;
        for (item, excluded) in state.items.iter().zip(&mut excluded) {
            *excluded |= strip(&item.scope.name, &field.name).is_some();
        }
    }
    for optimizer in &state.optimizers {
        if !excluded[optimizer.kind_item] {
            check_optimizer(state, optimizer)?;
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

/// An optimizer whose state a load could not give back.
fn check_optimizer(state: &Reading<'_>, optimizer: &NamedOptimizer<&dyn OptimizerState>) -> Result<(), StateError> {
    let name = || {
        let kind = &state.items[optimizer.kind_item].scope.name;
        kind.strip_suffix("kind")
            .unwrap_or(kind)
            .trim_end_matches('.')
            .to_owned()
    };
    // An optimizer that is the state itself has the order of its parameters, and nothing else, as PyTorch's state dict does.
    let is_field = !name().is_empty();
    if let (true, true, Some(first)) = (is_field, optimizer.by_position, optimizer.parameters.first()) {
        // A `VarMap` hands its variables out in another order each time, and a number would mean another parameter.
        let tensor = optimizer
            .handle
            .describe()
            .parameters
            .first()
            .map(|first| TensorInfo::from(first.var.as_tensor()));
        return Err(StateError::UnnamedParameter {
            optimizer: name(),
            position: first.name.parse().unwrap_or_default(),
            tensor: tensor.map(|tensor| tensor.to_string()).unwrap_or_default(),
        });
    }
    let refused = |what: String| StateError::Value {
        name: join(&name(), "param_groups"),
        what,
    };
    let mut grouped = HashSet::default();
    for group in &optimizer.groups {
        if let Some(what) = group.refused() {
            return Err(refused(what));
        }
        for &at in group.parameters() {
            let Some(parameter) = optimizer.parameters.get(at) else {
                let count = optimizer.parameters.len();
                return Err(refused(format!(
                    "has a parameter {at}, and the optimizer has {count}, counted from 0"
                )));
            };
            if !grouped.insert(at) {
                return Err(refused(format!(
                    "has parameter {at}, `{}`, in two groups",
                    parameter.name
                )));
            }
        }
    }
    let check = optimizer.handle.check(&optimizer.groups);
    check.map_err(|error| refused(format!("would be refused by the optimizer that it is from: {error}")))
}

/// A filter that keeps nothing is a typing mistake. One in the schema may meet no tensors at all, in a `None`, say;
/// one that a call gave for a field without tensors is a mistake too.
fn check_filter(used: &FilterUse) -> Result<(), StateError> {
    let called = used.schema.is_none();
    if used.kept > 0 || (used.rejected.is_empty() && !called) {
        return Ok(());
    }
    let shown: Vec<_> = used.rejected.iter().take(5).map(|name| format!("`{name}`")).collect();
    let more = if used.rejected.len() > shown.len() { ", …" } else { "" };
    Err(StateError::EmptyFilter {
        declared: used.declared.clone(),
        filter: used.rule().to_string(),
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
    // The question that candle asks before it lets a load write: better here, while the run that has the values is alive.
    if tensor.elem_count() > 0 && tensor.layout().has_internal_overlap() {
        return Err(refused(
            "is expanded: several of its elements are one place in memory, which no load could fill; keep the tensor that it \
             was expanded from in the state, call `.force_contiguous()`, or mark the field #[checkpoint(skip)]",
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
