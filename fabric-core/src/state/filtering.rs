//! Asks the filters of a schema and of a call which entries belong, once it is known what each tensor is as a whole.

use super::{Content, Resolved};
use crate::entry::{TensorInfo, strip};
use crate::filter::Filter;

/// A filter above an entry.
#[derive(Clone)]
pub(super) struct ActiveFilter {
    /// Where names relative to the filtered field begin.
    pub(super) from: usize,
    pub(super) log: usize,
}

/// How a filter fared over the whole state.
#[derive(Clone, Debug)]
pub(crate) struct FilterUse {
    pub(crate) declared: String,
    pub(crate) filter: Filter,
    pub(crate) rejected: Vec<String>,
    pub(crate) kept: usize,
}

impl FilterUse {
    pub(crate) fn new(declared: String, filter: Filter) -> Self {
        Self {
            declared,
            filter,
            rejected: Vec::new(),
            kept: 0,
        }
    }

    /// Asks the filter and keeps count.
    fn keeps(&mut self, relative: &str, info: &TensorInfo) -> bool {
        let keeps = self.filter.keeps(relative, info);
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
                item.filtered |= !self.filters[active.log].keeps(relative, &info);
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
        let mut used = FilterUse::new(component.to_owned(), filter.clone());
        for (at, item) in self.items.iter_mut().enumerate() {
            let Content::Tensor(tensor, _) = &item.content else {
                continue;
            };
            if let Some(relative) = strip(&item.scope.name, component) {
                let info = whole(at).cloned().unwrap_or_else(|| TensorInfo::from(tensor));
                item.filtered |= !used.keeps(relative, &info);
            }
        }
        self.filters.push(used);
    }

    /// Whether a filter that looks at shapes, of the schema or of the `called` ones, is about the item at this place.
    pub(crate) fn is_shape_asked(&self, item: usize, called: &[(String, Filter)]) -> bool {
        let scope = &self.items[item].scope;
        let mut above = scope.filters.iter().map(|active| &self.filters[active.log].filter);
        let mut called = called
            .iter()
            .filter(|(component, _)| strip(&scope.name, component).is_some());
        above.any(Filter::looks_at_tensors) || called.any(|(_, filter)| filter.looks_at_tensors())
    }
}
