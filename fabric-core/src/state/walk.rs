//! Collects the entries of a state: one walk over the fields, in declared order.

use candle_core::Tensor;

use super::components::Fields;
use super::field::FieldSchema;
use super::filtering::{ActiveFilter, FilterUse};
use super::optimizer::{OptimizerDescription, OptimizerState};
use super::optional::OptionalField;
use super::shard::Shards;
use super::slot::{Slot, ValueSlot};
use super::{Checkpoint, Kind, Schema};
use crate::entry::join;
use crate::filter::Filter;
use crate::value::{Value, ValueError};

/// A walk that reads a state, for saving.
pub type Visitor<'a> = Walk<Result<Value, ValueError>, &'a dyn OptimizerState>;

/// A walk that collects the places of a state, for loading into them.
pub type VisitorMut<'a> = Walk<Box<dyn ValueSlot + 'a>, &'a mut dyn OptimizerState>;

/// A walk over the entries of a state; see [`Visitor`] and [`VisitorMut`].
///
/// `V` is what a value contributes, `O` what an optimizer does.
pub struct Walk<V, O> {
    scope: Scope,
    left: Vec<Scope>,
    walked: Walked<V, O>,
}

/// Where the walk is, and what the fields above say of everything below.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    pub(crate) name: String,
    /// What the name may also be in a file; grows with every alias on the way down.
    pub(crate) alternatives: Vec<String>,
    /// The innermost `optional` field above, as a place in the list of all.
    pub(crate) optional: Option<usize>,
    pub(crate) shards: Shards,
    pub(crate) per_rank: bool,
    /// Kept and not learned: replicas may differ.
    pub(crate) buffer: bool,
    pub(super) filters: Vec<ActiveFilter>,
}

/// Everything that a walk found.
pub(crate) struct Walked<V, O> {
    pub(crate) items: Vec<Item<V>>,
    /// Optimizers name their entries after parameters, so they wait until all of those are known.
    pub(crate) optimizers: Vec<PendingOptimizer<O>>,
    pub(crate) fields: Fields,
    pub(crate) filters: Vec<FilterUse>,
    pub(crate) optionals: Vec<OptionalField>,
    /// The outermost derived structs: those that the handles of a call may belong to.
    pub(crate) schemas: Vec<Schema>,
}

/// One entry.
pub(crate) struct Item<V> {
    pub(crate) scope: Scope,
    pub(crate) content: Content<V>,
    /// A filter leaves it out; none has been asked before [`Resolved::ask`](super::Resolved::ask).
    pub(crate) filtered: bool,
}

pub(crate) enum Content<V> {
    Tensor(Tensor, Role),
    Value(V),
    /// A value of the optimizer at this place in the list of optimizers.
    Optimizer {
        optimizer: usize,
        part: OptimizerPart,
        value: Value,
    },
}

/// The values that an optimizer stores beside its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptimizerPart {
    Kind,
    Groups,
    /// The step count of the parameter at this position.
    Step(usize),
}

pub(crate) struct PendingOptimizer<O> {
    pub(crate) scope: Scope,
    pub(crate) description: OptimizerDescription,
    pub(crate) handle: O,
}

/// Whether PyTorch and candle call a statistic of a normalisation so. A `VarMap` has it among its variables.
fn is_running_statistic(name: &str) -> bool {
    let last = name.rsplit('.').next();
    last.is_some_and(|last| matches!(last, "running_mean" | "running_var" | "num_batches_tracked"))
}

/// What a tensor is to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Learned: part of [`named_parameters`](crate::named_parameters) if it is a variable.
    Parameter,
    /// Kept, but not learned: running statistics, masks, positions.
    Buffer,
}

impl Scope {
    pub(crate) fn below(&self, name: &str) -> Self {
        Self {
            name: join(&self.name, name),
            alternatives: self.alternatives.iter().map(|path| join(path, name)).collect(),
            optional: self.optional,
            shards: self.shards.clone(),
            per_rank: self.per_rank,
            buffer: self.buffer,
            filters: self.filters.clone(),
        }
    }

    fn descend(&mut self, name: &str, aliases: &[&str]) {
        let parents = std::iter::once(&self.name).chain(&self.alternatives);
        let renamed = parents.flat_map(|path| aliases.iter().map(move |alias| join(path, alias)));
        let kept = self.alternatives.iter().map(|path| join(path, name));
        self.alternatives = kept.chain(renamed).collect();
        self.name = join(&self.name, name);
    }
}

impl<V, O> Walk<V, O> {
    pub(crate) fn new() -> Self {
        Self {
            scope: Scope::default(),
            left: Vec::new(),
            walked: Walked {
                items: Vec::new(),
                optimizers: Vec::new(),
                fields: Fields::default(),
                filters: Vec::new(),
                optionals: Vec::new(),
                schemas: Vec::new(),
            },
        }
    }

    pub(crate) fn finish(self) -> Walked<V, O> {
        self.walked
    }

    /// Goes down into a field; [`leave`](Self::leave) comes back. What generated code calls.
    pub fn enter(&mut self, field: FieldSchema) {
        if self.left.is_empty() && self.scope.name.is_empty() && self.walked.schemas.last() != Some(&field.schema) {
            self.walked.schemas.push(field.schema);
        }
        if self.left.is_empty() && self.scope.name.is_empty() && !field.flatten {
            self.walked.fields.handle(&field);
        }
        self.left.push(self.scope.clone());
        if !field.flatten {
            self.descend(field.name, field.aliases);
        }
        if let Some(filter) = field.filter {
            self.activate(field.schema, field.declared, filter);
        }
        self.scope.shards.enter(field.shards);
        self.scope.per_rank |= field.per_rank;
        self.scope.buffer |= field.buffer;
        if field.optional {
            let inside = if field.flatten { None } else { Some(&self.scope) };
            let optional = OptionalField::new(self.scope.optional, inside);
            self.scope.optional = Some(self.walked.optionals.len());
            self.walked.optionals.push(optional);
        }
    }

    /// Comes back from the field that was entered last.
    pub fn leave(&mut self) {
        if let Some(scope) = self.left.pop() {
            self.scope = scope;
        }
    }

    /// Visits what lies below `name`: a field of a hand-written implementation, an index, a key. An empty name is
    /// refused with the entries below it.
    pub fn nested(&mut self, name: &str, below: impl FnOnce(&mut Self)) {
        let outer = self.scope.clone();
        self.descend(name, &[]);
        if name.is_empty() {
            // An empty key would vanish from the names; an empty segment is what the check of names refuses.
            self.scope.name.push('.');
        }
        below(self);
        self.scope = outer;
    }

    /// The present level is `None`.
    pub(super) fn none(&mut self) {
        self.walked.fields.none.push(self.scope.name.clone());
    }

    /// A learned tensor called `name` below the present level; `""` is the level itself.
    pub fn tensor(&mut self, name: &str, tensor: &Tensor) {
        self.push_tensor(name, tensor, Role::Parameter);
    }

    /// A tensor that is kept but not learned.
    pub fn buffer(&mut self, name: &str, tensor: &Tensor) {
        self.push_tensor(name, tensor, Role::Buffer);
    }

    fn push_tensor(&mut self, name: &str, tensor: &Tensor, role: Role) {
        let mut scope = self.scope.below(name);
        let role = if scope.buffer { Role::Buffer } else { role };
        scope.buffer = role == Role::Buffer || is_running_statistic(&scope.name);
        let item = Item {
            scope,
            content: Content::Tensor(tensor.clone(), role),
            filtered: false,
        };
        self.walked.push(item);
    }

    fn push_value(&mut self, value: V) {
        let scope = self.scope.clone();
        self.walked.push(Item {
            scope,
            content: Content::Value(value),
            filtered: false,
        });
    }

    fn push_optimizer(&mut self, description: OptimizerDescription, handle: O) {
        let scope = self.scope.clone();
        self.walked.optimizers.push(PendingOptimizer {
            scope,
            description,
            handle,
        });
    }

    fn descend(&mut self, name: &str, aliases: &[&str]) {
        let is_first_level = self.scope.name.is_empty();
        self.scope.descend(name, aliases);
        if is_first_level {
            self.walked.fields.declare(&self.scope.name, self.walked.items.len());
        }
    }

    fn activate(&mut self, schema: Schema, declared: &'static str, filter: Filter) {
        let log = self.walked.log(schema, declared, &filter);
        let from = if self.scope.name.is_empty() {
            0
        } else {
            self.scope.name.len() + 1
        };
        self.scope.filters.push(ActiveFilter { from, filter, log });
    }
}

impl<V, O> Walked<V, O> {
    /// A filter's record; one record for all places where the same declaration is met.
    fn log(&mut self, schema: Schema, declared: &'static str, filter: &Filter) -> usize {
        let known = self
            .filters
            .iter()
            .position(|used| used.is_of(&schema, declared, filter));
        known.unwrap_or_else(|| {
            self.filters.push(FilterUse::declared(schema, declared, filter.clone()));
            self.filters.len() - 1
        })
    }

    /// Adds an entry. The filters above it are asked later, when it is known what it may be a part of.
    pub(crate) fn push(&mut self, item: Item<V>) {
        self.items.push(item);
    }
}

impl<'a> Visitor<'a> {
    /// The present level is one plain value.
    pub fn value<T: Checkpoint + ?Sized>(&mut self, value: &'a T) {
        self.push_value(value.to_value());
    }

    /// The present level is one serde value.
    pub fn metadata<T: serde::Serialize + ?Sized>(&mut self, value: &'a T) {
        self.push_value(Value::of(value));
    }

    /// The present level is one serde value, which must be readable: what cannot be loaded is not saved.
    pub(crate) fn readable<T: serde::Serialize + serde::de::DeserializeOwned>(&mut self, value: &'a T) {
        let stored = Value::of(value).and_then(|stored| {
            stored.look().map_err(ValueError::no_memory)?;
            match stored.decode_exactly::<T>() {
                Ok(_) => Ok(stored),
                Err(error) => Err(error.said(|error| {
                    format!(
                        "could not be read back: its Deserialize does not accept what its Serialize wrote ({error})"
                    )
                })),
            }
        });
        self.push_value(stored);
    }

    /// The present level is an optimizer.
    pub fn optimizer(&mut self, optimizer: &'a dyn OptimizerState) {
        self.push_optimizer(optimizer.describe(), optimizer);
    }

    /// Visits a container: as one value if it is made of plain values, else part by part.
    pub(crate) fn container<T: Checkpoint>(&mut self, whole: &'a T, parts: impl FnOnce(&mut Self, &'a T)) {
        match T::KIND {
            Kind::Value => self.value(whole),
            Kind::Component => parts(self, whole),
        }
    }
}

impl<'a> VisitorMut<'a> {
    /// The present level is one plain value, replaced whole.
    pub fn value<T: Checkpoint>(&mut self, place: &'a mut T) {
        self.slot(Slot::plain(place));
    }

    /// The present level is one serde value, replaced whole.
    pub fn metadata<T: serde::de::DeserializeOwned>(&mut self, place: &'a mut T) {
        self.slot(Slot::metadata(place));
    }

    /// The present level is a place with rules of its own.
    pub fn slot(&mut self, slot: impl ValueSlot + 'a) {
        self.push_value(Box::new(slot));
    }

    /// The present level is an optimizer.
    pub fn optimizer(&mut self, optimizer: &'a mut dyn OptimizerState) {
        self.push_optimizer(optimizer.describe(), optimizer);
    }

    /// Visits a container: as one value if it is made of plain values, else part by part.
    pub(crate) fn container<T: Checkpoint>(&mut self, whole: &'a mut T, parts: impl FnOnce(&mut Self, &'a mut T)) {
        match T::KIND {
            Kind::Value => self.value(whole),
            Kind::Component => parts(self, whole),
        }
    }
}

impl<V, O> std::fmt::Debug for Walk<V, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk")
            .field("at", &self.scope.name)
            .field("entries", &self.walked.items.len())
            .finish_non_exhaustive()
    }
}
