//! The names at the first level of a state, by which calls select a part of it.

use super::aliases::Names;
use super::{FieldSchema, Resolved};
use crate::entry::{root, strip};
use crate::hash::HashSet;

/// The fields at the first level, including fields without entries at present.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// The names of the fields, each with the number of entries before it.
    declared: Vec<(usize, String)>,
    /// The fields that have handles: the name and the expression of the handle.
    handles: Vec<(&'static str, String)>,
    /// The names of all parts of the state that are `None`, at any level.
    pub(super) none: Vec<Names>,
    /// The names of all levels of the state without entries.
    pub(super) empty: Vec<Names>,
    /// The names of all enums of the state, at any level. Below each of them is an entry with its variant.
    pub(crate) enums: Vec<String>,
}

impl Fields {
    pub(super) fn declare(&mut self, name: &str, entries_before: usize) {
        self.declared.push((entries_before, root(name).to_owned()));
    }

    /// Records the handle of a field at the first level: an expression of the type, or the name as a text if the field has none.
    pub(super) fn handle(&mut self, field: &FieldSchema) {
        let handle = match field.declared.rsplit_once('.') {
            Some((_, declared)) => format!("{}::FIELDS.{declared}", field.schema.short_name()),
            // The field of an enum.
            None => format!("{:?}", field.name),
        };
        self.handles.push((field.name, handle));
    }

    /// The names of the fields at the first level, in declared order.
    pub(super) fn declared(&self) -> impl Iterator<Item = &str> {
        self.declared.iter().map(|(_, field)| field.as_str())
    }

    /// The names of all parts without entries: parts that are `None`, and empty levels.
    pub(super) fn bare(&self) -> impl Iterator<Item = &Names> {
        self.none.iter().chain(&self.empty)
    }

    /// The names of the parts that are `None`.
    pub(crate) fn none(&self) -> Vec<String> {
        self.none.iter().map(|names| names.own.clone()).collect()
    }

    /// The field at the first level that contains an entry: its name and the expression of its handle.
    pub(crate) fn handle_of(&self, entry: &str) -> Option<(&'static str, &str)> {
        let mut handles = self.handles.iter();
        let (name, handle) = handles.find(|(name, _)| strip(entry, name).is_some())?;
        Some((name, handle))
    }

    /// The names at the first level, each once, in declared order. `entries` are the names of all entries.
    pub(crate) fn components<'n>(&'n self, entries: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
        let mut fields = self.declared.iter().peekable();
        let mut names = Vec::new();
        for (at, entry) in entries.enumerate() {
            while let Some((_, field)) = fields.next_if(|(before, _)| *before <= at) {
                names.push(field.as_str());
            }
            names.push(root(entry));
        }
        names.extend(fields.map(|(_, field)| field.as_str()));
        let mut seen = HashSet::default();
        names.retain(|name| seen.insert(*name));
        names
    }
}

impl<V, O> Resolved<V, O> {
    /// The names at the first level, each once, in declared order.
    pub(crate) fn components(&self) -> Vec<&str> {
        self.fields
            .components(self.items.iter().map(|item| item.scope.name.as_str()))
    }

    /// The parts of the state without entries: empty components, and parts that are `None`.
    pub(crate) fn empty(&self) -> Vec<String> {
        let mut names: Vec<String> = self.fields.bare().map(|names| names.own.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}
