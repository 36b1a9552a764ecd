//! Names every entry. Optimizer state is named after the parameters, so it comes last.

use std::ops::Range;

use candle_core::Tensor;

use super::aliases::{Names, Other};
use super::components::Fields;
use super::filtering::FilterUse;
use super::names;
use super::optimizer::{OptimizerDescription, PARAMS, ParamGroup};
use super::optional::OptionalField;
use super::structs::StructPlace;
use super::walk::{PendingOptimizer, Scope};
use super::{Content, Item, OptimizerPart, Role, Schema, StorageKey, Walked};
use crate::entry::{Dims, TensorInfo};
use crate::error::StateError;
use crate::hash::HashMap;
use crate::value::Value;

/// A state whose entries have unique names.
pub(crate) struct Resolved<V, O> {
    pub(crate) items: Vec<Item<V>>,
    pub(crate) optimizers: Vec<NamedOptimizer<O>>,
    pub(crate) fields: Fields,
    pub(crate) filters: Vec<FilterUse>,
    pub(crate) optionals: Vec<OptionalField>,
    pub(super) schemas: Vec<Schema>,
    /// The structs of the state, each before those inside of it.
    pub(crate) structs: Vec<StructPlace>,
}

/// An optimizer whose entries are among the items.
pub(crate) struct NamedOptimizer<O> {
    pub(crate) kind: &'static str,
    pub(crate) groups: Vec<ParamGroup>,
    pub(crate) parameters: Vec<NamedParameter>,
    pub(crate) handle: O,
    /// The index of the item that holds the optimizer's kind.
    pub(crate) kind_item: usize,
    /// The prefixes of the names of its state: `optimizer.state`, and those by aliases of the optimizer that the file has.
    pub(crate) state: Vec<String>,
    /// True if another library wrote the file.
    pub(crate) foreign: bool,
    /// True if the file names the optimizer's parameters, or has them in an order that is known to be theirs.
    pub(crate) by_name: bool,
    /// True if the state holds none of its parameters, so that their indices are their names.
    pub(crate) by_position: bool,
}

/// A parameter of an optimizer.
pub(crate) struct NamedParameter {
    /// The index of the item that declares it; `usize::MAX` if the state does not hold it.
    pub(crate) place: usize,
    pub(crate) name: String,
    /// The names of tied tensors, and the names by aliases, once a load has [found](Resolved::find_names) them.
    pub(crate) aliases: Vec<String>,
    /// The names of its tensor in the state, and those of tied tensors, of which a load finds the aliases.
    pub(super) levels: Vec<Names>,
    /// PyTorch's names of the parameter: its number, or its name within the module.
    pub(crate) words: Vec<String>,
    /// The range of items that hold its state.
    pub(crate) items: Range<usize>,
}

/// The name of an optimizer's parameter.
struct ParamName {
    /// The index of the item that declares it; `usize::MAX` if the state does not hold it.
    place: usize,
    /// The name of its tensor in the state, or else the name that the optimizer gives it.
    name: String,
    /// The names of tensors tied to it.
    ties: Vec<Names>,
    scope: Scope,
    /// The shape of its tensor in the state, and true if the optimizer updates exactly that view; `None` if the state
    /// does not hold the tensor.
    held: Option<(Dims, bool)>,
    /// True if the name is only the index in the optimizer's list of parameters.
    is_position: bool,
}

/// Names all entries, and refuses names that no file can hold.
pub(crate) fn resolve<V, O>(mut walked: Walked<V, O>) -> Result<Resolved<V, O>, StateError> {
    let pending = std::mem::take(&mut walked.optimizers);
    let by_memory = if pending.is_empty() {
        ByMemory::default()
    } else {
        ByMemory::of(&walked.items)
    };
    let mut optimizers = Vec::new();
    for pending in pending {
        let names = name_parameters(&pending, &walked.items, &by_memory)?;
        let named = expand(&mut walked, pending, &names, optimizers.len());
        optimizers.push(named);
    }
    names::check(&walked.items)?;
    Ok(Resolved {
        items: walked.items,
        optimizers,
        fields: walked.fields,
        filters: walked.filters,
        optionals: walked.optionals,
        schemas: walked.schemas,
        structs: walked.structs,
    })
}

/// The tensors of a state by their memory, as indices of its items.
#[derive(Default)]
struct ByMemory {
    views: HashMap<StorageKey, Vec<usize>>,
    /// The first tensor of each storage.
    storages: HashMap<usize, usize>,
}

impl ByMemory {
    fn of<V>(items: &[Item<V>]) -> Self {
        let (mut views, mut storages) = (HashMap::<_, Vec<usize>>::default(), HashMap::default());
        for (at, item) in items.iter().enumerate() {
            if let Content::Tensor(tensor, _) = &item.content {
                let key = StorageKey::of(tensor);
                storages.entry(key.storage()).or_insert(at);
                views.entry(key).or_default().push(at);
            }
        }
        Self { views, storages }
    }

    /// The tensors that show this parameter, and true if they are exactly its view. A module may hold another view of
    /// it, a transposed one for example: if no tensor is exactly the parameter's view, the first tensor of its storage
    /// names it.
    fn find(&self, parameter: &Tensor) -> Option<(&[usize], bool)> {
        let key = StorageKey::of(parameter);
        let same = self.views.get(&key).map(|at| (at.as_slice(), true));
        let other = || self.storages.get(&key.storage()).map(std::slice::from_ref);
        same.or_else(|| other().map(|at| (at, false)))
    }
}

fn name_parameters<V, O>(
    pending: &PendingOptimizer<O>,
    items: &[Item<V>],
    by_memory: &ByMemory,
) -> Result<Vec<ParamName>, StateError> {
    let parameters = &pending.description.parameters;
    let mut names: Vec<Option<ParamName>> = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        let held = by_memory.find(&parameter.var).map(|(at, is_same_view)| ParamName {
            place: at[0],
            name: items[at[0]].scope.name.clone(),
            ties: at[1..].iter().map(|&tied| items[tied].scope.names()).collect(),
            scope: items[at[0]].scope.clone(),
            held: held_as(&items[at[0]], is_same_view),
            is_position: false,
        });
        let own = || parameter.name.clone().map(ParamName::unheld);
        names.push(held.or_else(own));
    }
    if names.iter().all(Option::is_none) {
        // The state holds the optimizer without its modules: only the order of the parameters can name them.
        return Ok((0..names.len()).map(ParamName::position).collect());
    }
    let unnamed = |position: usize| StateError::UnnamedParameter {
        optimizer: pending.scope.name.clone(),
        position,
        tensor: TensorInfo::from(parameters[position].var.as_tensor()).to_string(),
    };
    let names = names.into_iter().enumerate();
    let names: Vec<ParamName> = names
        .map(|(position, name)| name.ok_or_else(|| unnamed(position)))
        .collect::<Result<_, _>>()?;
    let mut positions: HashMap<&str, usize> = HashMap::default();
    for (position, name) in names.iter().enumerate() {
        if let Some(first) = positions.insert(&name.name, position) {
            return Err(StateError::RepeatedParameter {
                optimizer: pending.scope.name.clone(),
                name: name.name.clone(),
                first,
                second: position,
            });
        }
    }
    Ok(names)
}

fn held_as<V>(item: &Item<V>, is_same_view: bool) -> Option<(Dims, bool)> {
    match &item.content {
        Content::Tensor(tensor, _) => Some((Dims::from_slice(tensor.dims()), is_same_view)),
        _ => None,
    }
}

impl ParamName {
    fn unheld(name: String) -> Self {
        Self {
            place: usize::MAX,
            name,
            ties: Vec::new(),
            scope: Scope::default(),
            held: None,
            is_position: false,
        }
    }

    fn position(at: usize) -> Self {
        Self {
            is_position: true,
            ..Self::unheld(at.to_string())
        }
    }
}

/// Adds an optimizer's entries to the items.
fn expand<V, O>(
    walked: &mut Walked<V, O>,
    pending: PendingOptimizer<O>,
    names: &[ParamName],
    optimizer: usize,
) -> NamedOptimizer<O> {
    let PendingOptimizer {
        scope,
        description,
        handle,
    } = pending;
    let value = |scope: Scope, part, value| Item {
        scope,
        content: Content::Optimizer { optimizer, part, value },
        filtered: false,
    };
    let kind_item = walked.items.len();
    let kind = Value::of(description.kind).unwrap_or_else(|_| Value::null());
    walked.push(value(scope.below("kind"), OptimizerPart::Kind, kind));
    let groups = groups_value(&description, names);
    walked.push(value(scope.below("param_groups"), OptimizerPart::Groups, groups));
    let mut parameters = Vec::with_capacity(names.len());
    for (position, (parameter, name)) in description.parameters.iter().zip(names).enumerate() {
        let first = walked.items.len();
        let state = state_scope(&scope, name);
        let below = |entry: &str| state.below(entry);
        for (entry, tensor) in &parameter.tensors {
            let content = Content::Tensor(tensor.clone(), Role::Buffer);
            walked.push(Item {
                scope: below(entry),
                content,
                filtered: false,
            });
        }
        if let Some(step) = parameter.step {
            let step = Value::of(&step).unwrap_or_else(|_| Value::null());
            walked.push(value(below("step"), OptimizerPart::Step(position), step));
        }
        parameters.push(NamedParameter {
            place: name.place,
            name: name.name.clone(),
            aliases: name.ties.iter().map(|tied| tied.own.clone()).collect(),
            levels: std::iter::once(name.scope.names())
                .chain(name.ties.iter().cloned())
                .collect(),
            words: Vec::new(),
            items: first..walked.items.len(),
        });
    }
    NamedOptimizer {
        kind: description.kind,
        parameters,
        groups: description.groups,
        handle,
        kind_item,
        state: vec![scope.below("state").name],
        foreign: false,
        by_name: false,
        by_position: names.iter().all(|name| name.is_position),
    }
}

/// The scope of `optimizer.state.<parameter>`: split as the parameter is, with the names of tied tensors and the aliases of
/// all of them as other names.
fn state_scope(optimizer: &Scope, parameter: &ParamName) -> Scope {
    let ties = parameter.ties.iter();
    let mut others: Vec<Other> = ties.clone().map(|tied| Other::Path(tied.own.clone())).collect();
    let named = std::iter::once(parameter.scope.names()).chain(ties.cloned());
    others.extend(named.filter(Names::has_others).map(Other::AllOf));
    let mut scope = optimizer.below("state");
    scope.descend(&parameter.name, others);
    // The optimizer's `shard` attributes split the parts that the parameter's attributes leave.
    let held = parameter.held.as_ref();
    let held = held.map(|(shape, is_same_view)| (parameter.name.clone(), shape.clone(), *is_same_view));
    scope.shards = parameter.scope.shards.clone().of_state(&scope.shards, held);
    scope
}

/// PyTorch's `param_groups`: a list of maps, each with the names of its parameters in declared order. A `VarMap`
/// returns them in random order, and equal states must have equal files.
fn groups_value(description: &OptimizerDescription, names: &[ParamName]) -> Value {
    Value::list(description.groups.iter().map(|group| {
        let mut params: Vec<&ParamName> = group.parameters.iter().filter_map(|&at| names.get(at)).collect();
        params.sort_by_key(|param| param.place);
        let params: Vec<&str> = params.into_iter().map(|param| param.name.as_str()).collect();
        let params = Value::of(&params).unwrap_or_else(|_| Value::null());
        let options = group.options.iter().cloned();
        Value::map(options.chain([(PARAMS.to_owned(), params)]))
    }))
}
