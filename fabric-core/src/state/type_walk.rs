//! A walk over the types of a state along the structs of a file: without a state, it finds the versions and the recipes of a program.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::Checkpoint;
use super::structs::{StructPlace, struct_of};
use crate::entry::{join, strip};

/// The most types inside of each other. A struct may contain itself by way of a flattened field.
const DEEPEST: usize = 256;

/// The walk over the type of a field.
type Structs = for<'t> fn(&mut TypeWalk<'t>);

/// A walk over types. The file decides how many items a list has, which keys a map has, and how often a struct contains itself.
///
/// No other crate can name this type.
#[derive(Debug)]
pub struct TypeWalk<'f> {
    /// The paths of the structs of the file.
    paths: &'f BTreeSet<String>,
    /// The present levels in the file. A field with aliases may be at several.
    levels: Vec<String>,
    depth: usize,
    found: Vec<StructPlace>,
}

impl<'f> TypeWalk<'f> {
    /// The structs of the type `S` that the file has, outer ones first.
    pub(crate) fn structs_of<S: Checkpoint + ?Sized>(paths: &'f BTreeSet<String>) -> Vec<StructPlace> {
        let mut walk = Self {
            paths,
            levels: vec![String::new()],
            depth: 0,
            found: Vec::new(),
        };
        S::structs(&mut walk);
        walk.found
    }

    /// Records a struct at the present levels.
    pub fn record<T: Checkpoint + ?Sized>(&mut self) {
        if T::KIND.is_value() {
            return;
        }
        let there = self.levels.iter().filter(|level| self.paths.contains(*level));
        self.found.extend(there.map(|level| struct_of::<T>(level.clone())));
    }

    /// Records a struct, and goes down to its fields. Each has its names, the aliases too, or none if it is flattened.
    pub fn of<T: Checkpoint + ?Sized>(&mut self, fields: &[(&[&str], Structs)]) {
        self.record::<T>();
        for (names, structs) in fields {
            self.field(names, structs);
        }
    }

    /// Goes down to a field with these names; without names, it is flattened.
    pub fn field(&mut self, names: &[&str], below: impl FnOnce(&mut Self)) {
        let named = |level: &String| names.iter().map(|name| join(level, name)).collect::<Vec<_>>();
        let levels = if names.is_empty() {
            self.levels.clone()
        } else {
            self.levels.iter().flat_map(named).collect()
        };
        self.below(levels, below);
    }

    /// Goes down to all items of a list, or all parts of a map.
    pub fn items(&mut self, below: impl FnOnce(&mut Self)) {
        let mut levels = BTreeSet::new();
        for level in &self.levels {
            for path in self
                .paths
                .range::<str, _>((Bound::Included(level.as_str()), Bound::Unbounded))
            {
                if !path.starts_with(level.as_str()) {
                    break;
                }
                let Some(rest) = strip(path, level) else { continue };
                let key = rest.split('.').next().unwrap_or_default();
                if !key.is_empty() {
                    levels.insert(join(level, key));
                }
            }
        }
        self.below(levels.into_iter().collect(), below);
    }

    /// Walks below the levels at or below which the file has structs.
    fn below(&mut self, mut levels: Vec<String>, below: impl FnOnce(&mut Self)) {
        levels.retain(|level| self.has_below(level));
        if levels.is_empty() || self.depth == DEEPEST {
            return;
        }
        let outer = std::mem::replace(&mut self.levels, levels);
        self.depth += 1;
        below(self);
        self.depth -= 1;
        self.levels = outer;
    }

    fn has_below(&self, level: &str) -> bool {
        if level.is_empty() || self.paths.contains(level) {
            return true;
        }
        let begin = format!("{level}.");
        let mut after = self
            .paths
            .range::<str, _>((Bound::Included(begin.as_str()), Bound::Unbounded));
        after.next().is_some_and(|path| path.starts_with(&begin))
    }
}
