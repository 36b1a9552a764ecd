//! Applies the filters of a schema and of a call, once the shape of each whole tensor is known.

use super::attributes::Origin;
use super::{Content, Part, Resolved};
use crate::entry::{TensorInfo, strip};
use crate::filter::Filter;

/// A filter that applies to an entry.
#[derive(Clone)]
pub(super) struct ActiveFilter {
    /// The index in the entry's name at which the name relative to the filtered field begins.
    pub(super) from: usize,
    pub(super) filter: Filter,
    /// The index of the filter's record. All places of one declaration share a record.
    pub(super) log: usize,
}

/// The record of a filter over the whole state: the names that it rejected, and the number that it kept.
#[derive(Clone, Debug)]
pub(crate) struct FilterUse {
    pub(crate) declared: String,
    /// The declaration in the source; `None` for a filter of a call.
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

    /// The record of a schema's filter.
    pub(super) fn declared(origin: Origin, declared: &str, filter: Filter) -> Self {
        Self::new(declared.to_owned(), Some(origin), filter)
    }

    /// Returns true if this record belongs to `filter`: to the same field of the same declaration. A filter function may depend
    /// on generic arguments; different functions have different records.
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

    /// Returns true for a filter of a call, false for a filter of a schema.
    pub(crate) fn is_called(&self) -> bool {
        self.origin.is_none()
    }

    /// The filter itself, for messages.
    pub(crate) fn rule(&self) -> &Filter {
        &self.filter
    }

    /// Counts one answer of the filter, and returns it.
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
    /// Applies the schema's filters. `whole` gives the whole tensor of which the item at an index is a part; `None`
    /// means that the item is the whole tensor.
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

    /// Applies the filter of a call to all tensors below `component`. A part that holds nothing has no tensor to keep.
    pub(crate) fn filter<'w>(
        &mut self,
        component: &str,
        filter: &Filter,
        whole: impl Fn(usize) -> Option<&'w TensorInfo>,
    ) {
        let mut names = self.items.iter().map(|item| item.scope.name.as_str());
        if !names.any(|name| strip(name, component).is_some()) {
            return;
        }
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

    /// Returns true if a filter that looks at shapes, of the schema or of the call (`called`), applies to this item.
    pub(crate) fn is_shape_asked(&self, item: usize, called: &[(Part, Filter)]) -> bool {
        let scope = &self.items[item].scope;
        let mut above = scope.filters.iter().map(|active| &active.filter);
        let mut called = called
            .iter()
            .filter(|(field, _)| strip(&scope.name, &field.name).is_some());
        above.any(Filter::looks_at_tensors) || called.any(|(_, filter)| filter.looks_at_tensors())
    }
}
