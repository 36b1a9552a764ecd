//! Collects the entries of a state: one walk over the fields, in declared order.

use candle_core::Tensor;

use super::Schema;
use super::attributes::{Attributes, Origin};
use super::components::Fields;
use super::field::FieldSchema;
use super::filtering::{ActiveFilter, FilterUse};
use super::optimizer::OptimizerDescription;
use super::optional::OptionalField;
use super::shard::Shards;
use crate::entry::join;
use crate::filter::Filter;
use crate::value::Value;

/// A walk over the entries of a state, in either direction.
///
/// `V` is what a value contributes, `O` what an optimizer does.
pub(crate) struct Walk<V, O> {
    scope: Scope,
    /// The levels around the fields of derived structs.
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
pub(crate) enum Role {
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

    /// Goes down into a field of a derived struct; [`leave`](Self::leave) comes back.
    pub(super) fn enter(&mut self, field: &FieldSchema) {
        let is_outermost = self.left.is_empty() && self.scope.name.is_empty();
        if is_outermost && self.walked.schemas.last() != Some(&field.schema) {
            self.walked.schemas.push(field.schema);
        }
        if is_outermost && !field.attributes.flatten {
            self.walked.fields.handle(field);
        }
        self.left.push(self.scope.clone());
        if !field.attributes.flatten {
            self.descend(field.name, field.aliases);
        }
        let origin = Origin::Derived(field.schema);
        self.apply(&field.attributes, origin, field.declared);
    }

    /// Comes back from the field that was entered last.
    pub(super) fn leave(&mut self) {
        if let Some(scope) = self.left.pop() {
            self.scope = scope;
        }
    }

    /// Goes down to what a hand-written implementation calls `name`, and gives the level that
    /// [`back_to`](Self::back_to) returns to.
    pub(super) fn below(&mut self, name: &str, aliases: &[&str]) -> Scope {
        let outer = self.scope.clone();
        if !(name.is_empty() && aliases.is_empty()) {
            self.descend(name, aliases);
        }
        outer
    }

    pub(super) fn back_to(&mut self, outer: Scope) {
        self.scope = outer;
    }

    /// Makes the present level one whose entries no file can hold: an empty key would vanish from the names, and an empty
    /// segment is what the check of names refuses.
    pub(super) fn refuse_empty_name(&mut self) {
        self.scope.name.push('.');
    }

    /// The name of the present level, and the number of entries so far.
    pub(super) fn level(&self) -> (&str, usize) {
        (&self.scope.name, self.walked.items.len())
    }

    /// What attributes say of the present level. `declared` is the name of the field in messages about its filter.
    pub(super) fn apply(&mut self, attributes: &Attributes, origin: Origin, declared: &str) {
        if let Some(filter) = &attributes.filter {
            self.activate(origin, declared, filter.clone());
        }
        self.scope.shards.enter(&attributes.shards);
        self.scope.per_rank |= attributes.per_rank;
        self.scope.buffer |= attributes.buffer;
        if attributes.optional {
            let inside = if attributes.flatten { None } else { Some(&self.scope) };
            let optional = OptionalField::new(self.scope.optional, inside);
            self.scope.optional = Some(self.walked.optionals.len());
            self.walked.optionals.push(optional);
        }
    }

    /// The present level is `None`.
    pub(super) fn none(&mut self) {
        self.walked.fields.none.push(self.scope.name.clone());
    }

    /// A tensor called `name` below the present level; `""` is the level itself.
    pub(super) fn push_tensor(&mut self, name: &str, tensor: &Tensor, role: Role) {
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

    pub(super) fn push_value(&mut self, value: V) {
        let scope = self.scope.clone();
        self.walked.push(Item {
            scope,
            content: Content::Value(value),
            filtered: false,
        });
    }

    pub(super) fn push_optimizer(&mut self, description: OptimizerDescription, handle: O) {
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

    fn activate(&mut self, origin: Origin, declared: &str, filter: Filter) {
        let name = &self.scope.name;
        let log = self.walked.log(origin, declared, &filter);
        let from = if name.is_empty() { 0 } else { name.len() + 1 };
        self.scope.filters.push(ActiveFilter { from, filter, log });
    }
}

impl<V, O> Walked<V, O> {
    /// A filter's record; one record for all places where the same declaration is met.
    fn log(&mut self, origin: Origin, declared: &str, filter: &Filter) -> usize {
        let known = self
            .filters
            .iter()
            .position(|used| used.is_of(origin, declared, filter));
        known.unwrap_or_else(|| {
            self.filters.push(FilterUse::declared(origin, declared, filter.clone()));
            self.filters.len() - 1
        })
    }

    /// Adds an entry. The filters above it are asked later, when it is known what it may be a part of.
    pub(crate) fn push(&mut self, item: Item<V>) {
        self.items.push(item);
    }
}
