//! Collects the entries of a state: one walk over the fields, in declared order.

use candle_core::Tensor;

use super::field::{FieldSchema, Shard};
use super::optimizer::{OptimizerDescription, OptimizerState};
use super::slot::{PlainSlot, ValueSlot};
use super::{Checkpoint, Kind};
use crate::entry::{TensorInfo, join};
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
    path: String,
    /// What the path is also called in older files; grows with every alias on the way down.
    alternatives: Vec<String>,
    frames: Vec<Frame>,
    filters: Vec<ActiveFilter>,
    shards: Vec<Shard>,
    optionals: Vec<usize>,
    optional_count: usize,
    per_rank: usize,
    walked: Walked<V, O>,
}

/// Everything that a walk found.
pub(crate) struct Walked<V, O> {
    pub(crate) items: Vec<Item<V, O>>,
    /// The names at the first level, also of fields that hold no entry at present.
    pub(crate) components: Vec<String>,
    pub(crate) filters: Vec<FilterUse>,
}

/// One entry, or one optimizer, whose entries have names only when all parameters are known.
pub(crate) struct Item<V, O> {
    pub(crate) name: String,
    /// Other names that the entry may have in a file.
    pub(crate) alternatives: Vec<String>,
    pub(crate) content: Content<V, O>,
    /// The schema's own filter leaves it out.
    pub(crate) filtered: bool,
    /// Which `optional` field it belongs to.
    pub(crate) optional: Option<usize>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) per_rank: bool,
    /// The filters above it, for entries that are named later.
    filters: Vec<ActiveFilter>,
}

pub(crate) enum Content<V, O> {
    Tensor(Tensor, Role),
    Value(V),
    Optimizer(OptimizerDescription, O),
}

/// What an item is, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Tensor,
    Value,
}

/// What a tensor is to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Learned: part of [`named_parameters`](crate::named_parameters) if it is a variable.
    Parameter,
    /// Kept, but not learned: running statistics, masks, positions.
    Buffer,
}

#[derive(Clone)]
struct ActiveFilter {
    filter: Filter,
    /// Where names relative to the filtered field begin.
    from: usize,
    log: usize,
}

/// How a filter fared over the whole state.
#[derive(Clone, Debug)]
pub(crate) struct FilterUse {
    pub(crate) declared: &'static str,
    pub(crate) filter: Filter,
    pub(crate) seen: Vec<String>,
    pub(crate) kept: usize,
}

/// What leaving a field restores.
struct Frame {
    path: usize,
    alternatives: Vec<String>,
    filters: usize,
    shards: usize,
    optionals: usize,
    per_rank: bool,
}

impl<V, O> Walk<V, O> {
    pub(crate) fn new() -> Self {
        Self {
            path: String::new(),
            alternatives: Vec::new(),
            frames: Vec::new(),
            filters: Vec::new(),
            shards: Vec::new(),
            optionals: Vec::new(),
            optional_count: 0,
            per_rank: 0,
            walked: Walked {
                items: Vec::new(),
                components: Vec::new(),
                filters: Vec::new(),
            },
        }
    }

    pub(crate) fn finish(self) -> Walked<V, O> {
        self.walked
    }

    /// Goes down into a field; [`leave`](Self::leave) comes back. What generated code calls.
    pub fn enter(&mut self, field: FieldSchema) {
        self.frames.push(Frame {
            path: self.path.len(),
            alternatives: self.alternatives.clone(),
            filters: self.filters.len(),
            shards: self.shards.len(),
            optionals: self.optionals.len(),
            per_rank: field.per_rank,
        });
        if !field.flatten {
            self.descend(field.name, field.aliases);
        }
        if let Some(filter) = field.filter {
            self.activate(field.declared, filter);
        }
        self.shards.extend(field.shards.into_iter().flatten());
        if field.optional {
            self.optionals.push(self.optional_count);
            self.optional_count += 1;
        }
        self.per_rank += usize::from(field.per_rank);
    }

    /// Comes back from the field that was entered last.
    pub fn leave(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        self.path.truncate(frame.path);
        self.alternatives = frame.alternatives;
        self.filters.truncate(frame.filters);
        self.shards.truncate(frame.shards);
        self.optionals.truncate(frame.optionals);
        self.per_rank -= usize::from(frame.per_rank);
    }

    /// Visits what lies below `name`: a field of a hand-written implementation, an index, a key.
    pub fn nested(&mut self, name: &str, below: impl FnOnce(&mut Self)) {
        let path = self.path.len();
        let alternatives = self.alternatives.clone();
        self.descend(name, &[]);
        below(self);
        self.path.truncate(path);
        self.alternatives = alternatives;
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
        let item = self.item(name, Content::Tensor(tensor.clone(), role));
        let filtered = self.filters_reject(&item.name, &item.filters, &TensorInfo::from(tensor));
        self.walked.items.push(Item { filtered, ..item });
    }

    fn item(&self, name: &str, content: Content<V, O>) -> Item<V, O> {
        Item {
            name: join(&self.path, name),
            alternatives: self.alternatives.iter().map(|path| join(path, name)).collect(),
            content,
            filtered: false,
            optional: self.optionals.last().copied(),
            shards: self.shards.clone(),
            per_rank: self.per_rank > 0,
            filters: self.filters.clone(),
        }
    }

    fn descend(&mut self, name: &str, aliases: &[&str]) {
        let parents = std::iter::once(&self.path).chain(&self.alternatives);
        let renamed = parents.flat_map(|path| aliases.iter().map(move |alias| join(path, alias)));
        let kept = self.alternatives.iter().map(|path| join(path, name));
        self.alternatives = kept.chain(renamed).collect();
        self.path = join(&self.path, name);
        if !self.path.contains('.') && !self.walked.components.contains(&self.path) {
            self.walked.components.push(self.path.clone());
        }
    }

    fn activate(&mut self, declared: &'static str, filter: Filter) {
        let logged = self.walked.filters.iter().position(|used| used.declared == declared);
        let log = logged.unwrap_or(self.walked.filters.len());
        if logged.is_none() {
            self.walked.filters.push(FilterUse {
                declared,
                filter: filter.clone(),
                seen: Vec::new(),
                kept: 0,
            });
        }
        let from = if self.path.is_empty() { 0 } else { self.path.len() + 1 };
        self.filters.push(ActiveFilter { filter, from, log });
    }

    fn filters_reject(&mut self, name: &str, filters: &[ActiveFilter], info: &TensorInfo) -> bool {
        self.walked.filters_reject(name, filters, info)
    }
}

impl<V, O> Walked<V, O> {
    fn filters_reject(&mut self, name: &str, filters: &[ActiveFilter], info: &TensorInfo) -> bool {
        let mut rejected = false;
        for active in filters {
            let relative = name.get(active.from..).unwrap_or_default();
            let used = &mut self.filters[active.log];
            if active.filter.keeps(relative, info) {
                used.kept += 1;
            } else {
                rejected = true;
                used.seen.push(relative.to_owned());
            }
        }
        rejected
    }
}

impl<'a> Visitor<'a> {
    /// The present level is one plain value.
    pub fn value<T: Checkpoint + ?Sized>(&mut self, value: &'a T) {
        let item = self.item("", Content::Value(value.to_value()));
        self.walked.items.push(item);
    }

    /// The present level is one serde value.
    pub fn metadata<T: serde::Serialize + ?Sized>(&mut self, value: &'a T) {
        let item = self.item("", Content::Value(Value::of(value)));
        self.walked.items.push(item);
    }

    /// The present level is an optimizer.
    pub fn optimizer(&mut self, optimizer: &'a dyn OptimizerState) {
        let item = self.item("", Content::Optimizer(optimizer.describe(), optimizer));
        self.walked.items.push(item);
    }

    /// Visits a container: as one value if it is made of plain values, else part by part.
    pub(crate) fn container<T: Checkpoint>(&mut self, whole: &'a T, parts: impl FnOnce(&mut Self)) {
        match T::KIND {
            Kind::Value => self.value(whole),
            Kind::Component => parts(self),
        }
    }
}

impl<'a> VisitorMut<'a> {
    /// The present level is one plain value, replaced whole.
    pub fn value<T: Checkpoint>(&mut self, place: &'a mut T) {
        self.slot(PlainSlot::new(place));
    }

    /// The present level is a place with rules of its own.
    pub fn slot(&mut self, slot: impl ValueSlot + 'a) {
        let item = self.item("", Content::Value(Box::new(slot) as Box<dyn ValueSlot + 'a>));
        self.walked.items.push(item);
    }

    /// The present level is an optimizer.
    pub fn optimizer(&mut self, optimizer: &'a mut dyn OptimizerState) {
        let item = self.item("", Content::Optimizer(optimizer.describe(), optimizer));
        self.walked.items.push(item);
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
            .field("path", &self.path)
            .field("entries", &self.walked.items.len())
            .finish_non_exhaustive()
    }
}
