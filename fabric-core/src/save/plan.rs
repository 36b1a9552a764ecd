//! The plan of a save: one tensor for each piece of memory, its other names, the values, and the entries that filters
//! exclude.

use std::collections::hash_map::Entry;

use super::contents::LiveTensor;
use super::manifest::struct_record;
use super::report::SaveReport;
use crate::entry::{DType, Row, TensorInfo, entries, join, shown, strip};
use crate::error::{Error, Result, StateError};
use crate::format::manifest::StructRecord;
use crate::format::safetensors::FileLayout;
use crate::hash::{HashMap, HashSet, map_of};
use crate::options::SaveOptions;
use crate::state::{
    AnyState, Content, FilterUse, NamedOptimizer, OptimizerState, Resolved, Scope, Shards, StorageKey, Visitor, resolve,
};
use crate::value::{Value, ValueError};

/// The entries of a state, with their names.
pub(crate) type ResolvedState<'a> = Resolved<Result<Value, ValueError>, &'a dyn OptimizerState>;

/// The shapes of the whole tensors of which the state holds parts, by place among the items of the state.
pub(crate) type WholeShapes = HashMap<usize, TensorInfo>;

/// The contents of the checkpoint.
#[derive(Debug, Default)]
pub(crate) struct SavePlan {
    /// In the order of the walk.
    pub(crate) structs: Vec<StructRecord>,
    /// In the order of their bytes in a file, so that equal states give equal files.
    pub(crate) tensors: Vec<Row<LiveTensor>>,
    /// Sorted by name.
    pub(crate) ties: Vec<Tie>,
    /// Names with CBOR bytes, sorted by name.
    pub(crate) values: Vec<(String, Vec<u8>)>,
    /// Names with CBOR bytes of the values that `per_rank` marks, sorted by name.
    pub(crate) per_rank: Vec<(String, Vec<u8>)>,
    /// Sorted.
    pub(crate) filtered: Vec<String>,
    /// The facts that a run stores in the head of the manifest, as CBOR, sorted by their keys.
    pub(crate) facts: Vec<(String, Vec<u8>)>,
}

/// Another name of a tensor.
#[derive(Debug)]
pub(crate) struct Tie {
    pub(crate) name: String,
    /// The place of the tensor in [`SavePlan::tensors`].
    pub(crate) target: usize,
    /// The attributes `shard` above this name.
    pub(crate) shards: Shards,
}

/// Lists the entries of a state, each with its name.
pub(crate) fn list_entries(state: &dyn AnyState) -> Result<ResolvedState<'_>, StateError> {
    let mut visitor = Visitor::new();
    state.visit(&mut visitor);
    resolve(visitor.finish())
}

/// Asks the filters, which see the shapes in `wholes` for tensors in parts, and decides which entries are written.
pub(crate) fn plan(state: &mut ResolvedState<'_>, options: SaveOptions, wholes: &WholeShapes) -> Result<SavePlan> {
    let SaveOptions {
        filters,
        exclude,
        facts,
        ..
    } = options;
    state.ask(|at| wholes.get(&at));
    for (field, filter) in &filters {
        state.check_part(field)?;
        state.filter(&field.name, filter, |at| wholes.get(&at));
    }
    state.filters.iter().try_for_each(check_filter)?;
    let mut excluded = vec![false; state.items.len()];
    for field in &exclude {
        state.check_part(field)?;
        for (item, excluded) in state.items.iter().zip(&mut excluded) {
            *excluded |= strip(&item.scope.name, &field.name).is_some();
        }
    }
    for optimizer in &state.optimizers {
        if !excluded[optimizer.kind_item] {
            check_optimizer(state, optimizer)?;
        }
    }
    let mut plan = SavePlan {
        structs: std::mem::take(&mut state.structs)
            .into_iter()
            .map(struct_record)
            .collect(),
        facts,
        ..SavePlan::default()
    };
    let mut by_memory: HashMap<StorageKey, usize> = map_of(state.items.len());
    for (at, item) in state.items.iter().enumerate() {
        let name = &item.scope.name;
        if item.filtered || excluded[at] {
            plan.filtered.push(name.clone());
            continue;
        }
        match &item.content {
            Content::Tensor(tensor, _) => match by_memory.entry(StorageKey::of(tensor)) {
                Entry::Occupied(first) => plan.ties.push(Tie {
                    name: name.clone(),
                    target: *first.get(),
                    shards: item.scope.shards.clone(),
                }),
                Entry::Vacant(place) => {
                    place.insert(plan.tensors.len());
                    plan.tensors.push(row(&item.scope, tensor)?);
                }
            },
            Content::Value(value) if item.scope.per_rank => plan.per_rank.push(encoded(name, value.as_ref())?),
            Content::Value(value) => plan.values.push(encoded(name, value.as_ref())?),
            Content::Optimizer { value, .. } => plan.values.push(encoded(name, Ok(value))?),
        }
    }
    check_not_empty(&plan, exclude.is_empty())?;
    plan.values.sort();
    plan.per_rank.sort();
    plan.filtered.sort();
    plan.sort_tensors();
    Ok(plan)
}

/// Refuses a save whose options leave nothing of the state.
fn check_not_empty(plan: &SavePlan, is_all_asked_for: bool) -> Result<()> {
    let is_empty = plan.tensors.is_empty() && plan.values.is_empty() && plan.per_rank.is_empty();
    if is_all_asked_for || !is_empty || plan.filtered.is_empty() {
        return Ok(());
    }
    Err(Error::Options(format!(
        "SaveOptions::exclude leaves nothing to save: all {} of the state are excluded",
        entries(plan.filtered.len())
    )))
}

impl SavePlan {
    /// Sorts the tensors by the order of their bytes, for the file and for every thread that copies or writes.
    fn sort_tensors(&mut self) {
        let tensors = std::mem::take(&mut self.tensors);
        let mut order: Vec<(usize, Row<LiveTensor>)> = tensors.into_iter().enumerate().collect();
        order.sort_by(|(_, a), (_, b)| FileLayout::compare((&a.name, &a.whole), (&b.name, &b.whole)));
        let mut places = vec![0; order.len()];
        for (now, (before, _)) in order.iter().enumerate() {
            places[*before] = now;
        }
        for tie in &mut self.ties {
            tie.target = places[tie.target];
        }
        self.ties.sort_by(|a, b| a.name.cmp(&b.name));
        self.tensors = order.into_iter().map(|(_, row)| row).collect();
    }

    /// Turns the values marked `per_rank` into ordinary values, for a save of one process.
    pub(crate) fn share_values(&mut self) {
        self.values.append(&mut self.per_rank);
        self.values.sort();
    }

    /// The report of the save, before the lengths of its files and the differences between ranks are known.
    pub(crate) fn report(&self) -> SaveReport {
        SaveReport {
            entries: self.tensors.len() + self.ties.len() + self.values.len() + self.per_rank.len(),
            filtered: self.filtered.clone(),
            ..SaveReport::default()
        }
    }
}

/// Refuses an optimizer whose state a load cannot restore.
fn check_optimizer(
    state: &ResolvedState<'_>,
    optimizer: &NamedOptimizer<&dyn OptimizerState>,
) -> Result<(), StateError> {
    let name = || {
        let kind = &state.items[optimizer.kind_item].scope.name;
        kind.strip_suffix("kind")
            .unwrap_or(kind)
            .trim_end_matches('.')
            .to_owned()
    };
    // An optimizer that is the whole state is saved by the order of its parameters, as PyTorch's state dict is.
    let is_field = !name().is_empty();
    if let (true, true, Some(first)) = (is_field, optimizer.by_position, optimizer.parameters.first()) {
        // A `VarMap` lists its variables in another order each time, so a number would mean another parameter.
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
                    "refers to parameter {at}, and the optimizer has {count} parameters, numbered from 0"
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
    check.map_err(|error| refused(format!("would be refused by the optimizer itself at a load: {error}")))
}

/// Refuses a filter that keeps no entry, which is a typing mistake. A filter in the schema may see no tensors at all,
/// in a `None` for example; a filter of a call may not.
fn check_filter(used: &FilterUse) -> Result<(), StateError> {
    if used.kept > 0 || (used.rejected.is_empty() && !used.is_called()) {
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

/// The row of a tensor that a file can hold and a load can fill.
fn row(scope: &Scope, tensor: &candle_core::Tensor) -> Result<Row<LiveTensor>, StateError> {
    let info = TensorInfo::from(tensor);
    let whole_bytes = info.elements().is_some_and(|n| n.is_multiple_of(8)) || info.dtype().bits() >= 8;
    let refused = |what: &str| StateError::Tensor {
        name: scope.name.clone(),
        what: what.to_owned(),
    };
    if info.dtype() == DType::Other {
        return Err(refused(
            "has an element type of a newer candle, which this library cannot store; convert the tensor, or update fabric-core",
        ));
    }
    if info.dtype().bits() < 8 && !(whole_bytes && tensor.is_contiguous()) {
        return Err(refused(
            "has elements smaller than a byte, which do not fill whole bytes in contiguous memory; make the tensor contiguous, with a \
             multiple of 8 elements",
        ));
    }
    // Candle refuses to write to such a tensor at a load, so the save refuses it while the process still has the
    // values.
    if tensor.elem_count() > 0 && tensor.layout().has_internal_overlap() {
        return Err(refused(
            "is expanded: several of its elements share one place in memory, which no load can fill; keep the tensor that it \
             was expanded from in the state, call `.force_contiguous()`, or mark the field #[checkpoint(skip)]",
        ));
    }
    Ok(Row {
        name: scope.name.as_str().into(),
        whole: info,
        region: None,
        bytes: LiveTensor {
            tensor: tensor.clone(),
            within: None,
            shards: scope.shards.clone(),
            buffer: scope.buffer,
        },
    })
}

fn encoded(name: &str, value: Result<&Value, &ValueError>) -> Result<(String, Vec<u8>)> {
    let bytes = value.map_err(Clone::clone).and_then(Value::to_bytes);
    let refused = |error: ValueError| {
        error.or(&format!("save value `{}`", shown(name)), |error| {
            let (name, what) = (name.to_owned(), error.to_string());
            StateError::Value { name, what }.into()
        })
    };
    bytes.map(|bytes| (name.to_owned(), bytes)).map_err(refused)
}
