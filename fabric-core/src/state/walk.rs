//! Collects the entries of a state: one walk over the fields, in declared order.

use std::sync::Arc;

use candle_core::Tensor;

use super::Schema;
use super::aliases::{Level, Names, Other};
use super::attributes::{Attributes, Origin};
use super::components::Fields;
use super::field::FieldSchema;
use super::filtering::{ActiveFilter, FilterUse};
use super::optimizer::OptimizerDescription;
use super::optional::OptionalField;
use super::shard::Shards;
use super::structs::StructPlace;
use crate::entry::join;
use crate::filter::Filter;
use crate::value::Value;

/// A walk over the entries of a state, for a save or a load.
///
/// `V` is the type of its values, `O` the type of its optimizers.
pub(crate) struct Walk<V, O> {
    scope: Scope,
    /// The levels around the present field of a derived struct, outermost first.
    left: Vec<Outer>,
    walked: Walked<V, O>,
}

/// The level around the present one, with the number of entries and optimizers that the walk had collected there.
pub(super) struct Outer {
    scope: Scope,
    collected: usize,
}

/// The present level of a walk, with the attributes of all fields above it.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    pub(crate) name: String,
    /// The innermost level of the name with aliases.
    pub(super) level: Option<Arc<Level>>,
    /// The names that a load accepts beside `name`: those that the file has, once a load has
    /// [found](super::Resolved::find_names) them.
    pub(crate) alternatives: Vec<String>,
    /// The index of the innermost `optional` field above.
    pub(crate) optional: Option<usize>,
    pub(crate) shards: Shards,
    pub(crate) per_rank: bool,
    /// True below a field marked `buffer`: ranks may hold different replicas.
    pub(crate) buffer: bool,
    /// True for a value with a default of a hand-written implementation.
    pub(super) default: bool,
    pub(super) filters: Vec<ActiveFilter>,
}

/// The entries that a walk collected, with the fields, filters and optimizers that belong to them.
pub(crate) struct Walked<V, O> {
    pub(crate) items: Vec<Item<V>>,
    /// Optimizers, whose entries are named after the parameters, once all parameters are known.
    pub(crate) optimizers: Vec<PendingOptimizer<O>>,
    pub(crate) fields: Fields,
    pub(crate) filters: Vec<FilterUse>,
    pub(crate) optionals: Vec<OptionalField>,
    /// The outermost derived structs, to which the handles of a call may belong.
    pub(crate) schemas: Vec<Schema>,
    /// The structs of the state, each before those inside of it. A newtype and its contents, and a flattened struct and the
    /// struct around it, have one path.
    pub(crate) structs: Vec<StructPlace>,
    /// The first level that a load cannot write to, and the reason.
    pub(crate) read_only: Option<(String, &'static str)>,
}

/// One entry.
pub(crate) struct Item<V> {
    pub(crate) scope: Scope,
    pub(crate) content: Content<V>,
    /// True if a filter rejects the entry; false until [`Resolved::ask`](super::Resolved::ask) has applied the filters.
    pub(crate) filtered: bool,
}

pub(crate) enum Content<V> {
    Tensor(Tensor, Role),
    Value(V),
    /// A value of the optimizer at the index `optimizer`.
    Optimizer {
        optimizer: usize,
        part: OptimizerPart,
        value: Value,
    },
}

/// The values of an optimizer in a file, beside its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptimizerPart {
    Kind,
    Groups,
    /// The step count of the parameter at this index.
    Step(usize),
}

pub(crate) struct PendingOptimizer<O> {
    pub(crate) scope: Scope,
    pub(crate) description: OptimizerDescription,
    pub(crate) handle: O,
}

/// Returns true for PyTorch's and candle's names of normalisation statistics, which a `VarMap` has among its variables.
fn is_running_statistic(name: &str) -> bool {
    let last = name.rsplit('.').next();
    last.is_some_and(|last| matches!(last, "running_mean" | "running_var" | "num_batches_tracked"))
}

/// The role of a tensor in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A learned tensor; a variable of this role belongs to [`named_parameters`](crate::named_parameters).
    Parameter,
    /// A tensor that is saved and not learned: a running statistic, a mask, positions.
    Buffer,
}

impl Scope {
    pub(crate) fn below(&self, name: &str) -> Self {
        Self {
            name: join(&self.name, name),
            level: self.level.clone(),
            alternatives: Vec::new(),
            optional: self.optional,
            shards: self.shards.clone(),
            per_rank: self.per_rank,
            buffer: self.buffer,
            default: self.default,
            filters: self.filters.clone(),
        }
    }

    /// Goes down to the level `name`, which has other names too.
    pub(super) fn descend(&mut self, name: &str, others: Vec<Other>) {
        let mut names = Names {
            own: std::mem::take(&mut self.name),
            level: self.level.take(),
        };
        names.descend(name, others);
        (self.name, self.level) = (names.own, names.level);
    }

    /// The name, and the levels of it with aliases.
    pub(crate) fn names(&self) -> Names {
        Names {
            own: self.name.clone(),
            level: self.level.clone(),
        }
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
                structs: Vec::new(),
                read_only: None,
            },
        }
    }

    pub(crate) fn finish(self) -> Walked<V, O> {
        self.walked
    }

    /// Enters a field of a derived struct. [`leave`](Self::leave) returns to the level around it.
    pub(super) fn enter(&mut self, field: &FieldSchema) {
        let is_outermost = self.left.is_empty() && self.scope.name.is_empty();
        if is_outermost && self.walked.schemas.last() != Some(&field.schema) {
            self.walked.schemas.push(field.schema);
        }
        if is_outermost && !field.attributes.flatten {
            self.walked.fields.handle(field);
        }
        let outer = self.outer();
        self.left.push(outer);
        if !field.attributes.flatten {
            self.descend(field.name, field.aliases);
        }
        let origin = Origin::Derived(field.schema);
        self.apply(&field.attributes, origin, field.declared);
    }

    /// Leaves the field that was entered last.
    pub(super) fn leave(&mut self) {
        if let Some(outer) = self.left.pop() {
            self.back_to(outer);
        }
    }

    /// Enters the level `name` of a hand-written implementation, and returns the level around it for
    /// [`back_to`](Self::back_to).
    pub(super) fn below(&mut self, name: &str, aliases: &[&str]) -> Outer {
        let outer = self.outer();
        if !(name.is_empty() && aliases.is_empty()) {
            self.descend(name, aliases);
        }
        outer
    }

    /// Returns to the level around the present one, and records the present one if it holds no entry.
    pub(super) fn back_to(&mut self, outer: Outer) {
        let level = std::mem::replace(&mut self.scope, outer.scope);
        if self.collected() == outer.collected && level.name != self.scope.name {
            self.walked.fields.empty.push(level.names());
        }
    }

    fn outer(&self) -> Outer {
        Outer {
            scope: self.scope.clone(),
            collected: self.collected(),
        }
    }

    /// The number of entries and optimizers so far.
    fn collected(&self) -> usize {
        self.walked.items.len() + self.walked.optimizers.len()
    }

    /// Gives the present level a name that the check of names refuses: an empty segment. An empty name alone would
    /// vanish from the names below it.
    pub(super) fn refuse_empty_name(&mut self) {
        self.scope.name.push('.');
    }

    /// The name of the present level, and the number of entries collected so far.
    pub(super) fn level(&self) -> (&str, usize) {
        (&self.scope.name, self.walked.items.len())
    }

    /// Applies attributes to the present level. `declared` names the field in messages about its filter.
    pub(super) fn apply(&mut self, attributes: &Attributes, origin: Origin, declared: &str) {
        if let Some(filter) = &attributes.filter {
            self.activate(origin, declared, filter.clone());
        }
        self.scope.shards.enter(&attributes.shards);
        self.scope.per_rank |= attributes.per_rank;
        self.scope.buffer |= attributes.buffer;
        self.scope.default |= attributes.default;
        if attributes.optional {
            let inside = if attributes.flatten { None } else { Some(&self.scope) };
            let optional = OptionalField::new(self.scope.optional, inside);
            self.scope.optional = Some(self.walked.optionals.len());
            self.walked.optionals.push(optional);
        }
    }

    /// Records that the present level is `None`.
    pub(super) fn none(&mut self) {
        self.walked.fields.none.push(self.scope.names());
    }

    /// Records that a load cannot write to the present level, and why.
    pub(super) fn refuse_writing(&mut self, why: &'static str) {
        let name = &self.scope.name;
        self.walked.read_only.get_or_insert_with(|| (name.clone(), why));
    }

    /// Records that the present level is an enum. The entry `variant` below it holds the variant: if the file has another one, the
    /// report names the variants, and counts the entries below the level.
    pub(super) fn variant(&mut self) {
        self.walked.fields.enums.push(self.scope.name.clone());
    }

    /// The names of the present level.
    pub(super) fn names(&self) -> Names {
        self.scope.names()
    }

    pub(super) fn push_struct(&mut self, place: StructPlace) {
        self.walked.structs.push(place);
    }

    /// Collects a tensor `name` below the present level; `""` is the level itself.
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
        let others = aliases.iter().map(|alias| Other::Path((*alias).to_owned()));
        self.scope.descend(name, others.collect());
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
    /// The index of a filter's record; all places of one declaration share a record.
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

    /// Adds an entry. Filters are applied later, when the shapes of whole tensors are known.
    pub(crate) fn push(&mut self, item: Item<V>) {
        self.items.push(item);
    }
}
