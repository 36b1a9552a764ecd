//! Asks the filters of a schema and of a call which entries belong, once it is known what each tensor is as a whole.

use super::attributes::Origin;
use super::{Content, Handle, Resolved};
use crate::entry::{TensorInfo, strip};
use crate::filter::Filter;

/// A filter above an entry.
#[derive(Clone)]
pub(super) struct ActiveFilter {
    /// Where names relative to the filtered field begin.
    pub(super) from: usize,
    pub(super) filter: Filter,
    /// Its record, which it shares with the other places of its declaration.
    pub(super) log: usize,
}

/// How a filter fared over the whole state.
#[derive(Clone, Debug)]
pub(crate) struct FilterUse {
    pub(crate) declared: String,
    /// Where the source declares it; `None` if a call gave it.
    origin: Option<Origin>,
    filter: Filter,
    pub(crate) rejected: Vec<String>,
    pub(crate) kept: usize,
}

impl FilterUse {
    fn new(declared: String, origin: Option<Origin>, filter: Filter) -> Self {
        Self {
            declared,
            origin,
            filter,
            rejected: Vec::new(),
            kept: 0,
        }
    }

    /// A filter of a schema.
    pub(super) fn declared(origin: Origin, declared: &str, filter: Filter) -> Self {
        Self::new(declared.to_owned(), Some(origin), filter)
    }

    /// Whether a filter is the one that this record is about: the same field of the same declaration. A function may
    /// follow from the generic arguments; then it is another filter for others.
    pub(super) fn is_of(&self, origin: Origin, declared: &str, filter: &Filter) -> bool {
        match (self.origin, origin) {
            (Some(Origin::Derived(own)), Origin::Derived(schema)) => {
                self.declared == declared
                    && own.is_declared_with(&schema)
                    && (own == schema || self.filter.is_surely(filter))
            }
            (Some(Origin::ByHand(own)), Origin::ByHand(line)) => own == line,
            _ => false,
        }
    }

    /// Whether a call gave the filter, and no schema.
    pub(crate) fn is_called(&self) -> bool {
        self.origin.is_none()
    }

    /// The rule, for messages.
    pub(crate) fn rule(&self) -> &Filter {
        &self.filter
    }

    /// Counts what a filter said.
    fn count(&mut self, relative: &str, keeps: bool) -> bool {
        if keeps {
            self.kept += 1;
        } else {
            self.rejected.push(relative.to_owned());
        }
        keeps
    }
}

impl<V, O> Resolved<V, O> {
    /// Asks the schema's own filters. `whole` is what the item at a place is a part of, `None` if it is no part.
    pub(crate) fn ask<'w>(&mut self, whole: impl Fn(usize) -> Option<&'w TensorInfo>) {
        for (at, item) in self.items.iter_mut().enumerate() {
            let Content::Tensor(tensor, _) = &item.content else {
                continue;
            };
            if item.scope.filters.is_empty() {
                continue;
            }
            let info = whole(at).cloned().unwrap_or_else(|| TensorInfo::from(tensor));
            for active in &item.scope.filters {
                let relative = item.scope.name.get(active.from..).unwrap_or_default();
                let keeps = active.filter.keeps(relative, &info);
                item.filtered |= !self.filters[active.log].count(relative, keeps);
            }
        }
    }

    /// Applies a filter that a call gave for everything below `component`.
    pub(crate) fn filter<'w>(
        &mut self,
        component: &str,
        filter: &Filter,
        whole: impl Fn(usize) -> Option<&'w TensorInfo>,
    ) {
        let mut used = FilterUse::new(component.to_owned(), None, filter.clone());
        for (at, item) in self.items.iter_mut().enumerate() {
            let Content::Tensor(tensor, _) = &item.content else {
                continue;
            };
            if let Some(relative) = strip(&item.scope.name, component) {
                let info = whole(at).cloned().unwrap_or_else(|| TensorInfo::from(tensor));
                let keeps = filter.keeps(relative, &info);
                item.filtered |= !used.count(relative, keeps);
            }
        }
        self.filters.push(used);
    }

    /// Whether a filter that looks at shapes, of the schema or of the `called` ones, is about the item at this place.
    pub(crate) fn is_shape_asked(&self, item: usize, called: &[(Handle, Filter)]) -> bool {
        let scope = &self.items[item].scope;
        let mut above = scope.filters.iter().map(|active| &active.filter);
        let mut called = called
            .iter()
            .filter(|(field, _)| strip(&scope.name, &field.name).is_some());
        above.any(Filter::looks_at_tensors) || called.any(|(_, filter)| filter.looks_at_tensors())
    }
}
