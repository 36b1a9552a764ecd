//! A checkpoint without a state: names, shapes, and contents on request.

mod description;
pub(crate) mod diff;
mod elements;
mod load;
mod matching;
mod migrated;
pub(crate) mod optimizers;
mod statistics;
mod tensors;
mod ties;
mod var_builder;

pub use self::description::{Description, RunDescription, StructDescription};
pub use self::optimizers::OptimizerSummary;
pub(crate) use self::tensors::read_tensor;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::entry::{TensorInfo, shown, strip};
use crate::error::{Error, Result};
use crate::format::manifest::StructRecord;
use crate::hash::HashSet;
use crate::source::names::Renamed;
use crate::source::{Index, Source, StoredTensor};
use crate::value::Value;

/// The largest number of names that are compared with a name that does not exist.
const MOST_COMPARED: usize = 10_000;

/// The entries of an opened checkpoint, or the entries that a load did not use. Tensors are read when they are
/// requested.
///
/// A clone is cheap. The file stays open, and later reads return the contents at the time of the opening, also after a
/// later save has replaced the file. For a directory, the index and some files stay open, and reads reopen the others.
/// If a later save has removed or changed such a file, the read is an error, so contents of two saves never mix.
#[derive(Clone)]
pub struct RawCheckpoint {
    pub(crate) index: Arc<Index>,
    pub(crate) source: Arc<dyn Source>,
}

impl RawCheckpoint {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self {
            index: source.index().clone(),
            source,
        }
    }

    /// The entries that are not in `consumed`.
    pub(crate) fn without(&self, consumed: &HashSet<&str>) -> Self {
        Self {
            index: Arc::new(self.index.without(consumed)),
            source: self.source.clone(),
        }
    }

    /// These entries, and others of the same file. An entry of this checkpoint comes before one of the same name.
    pub(crate) fn with(mut self, others: &Index) -> Self {
        let index = Arc::make_mut(&mut self.index);
        for (name, tensor) in &others.tensors {
            if !index.contains(name) {
                index.tensors.insert(name.clone(), tensor.clone());
            }
        }
        for (name, value) in &others.values {
            if !index.contains(name) {
                index.values.insert(name.clone(), value.clone());
            }
        }
        self
    }

    /// These entries with the names in the file as their origins. The recipe that made them began with the names of `names`.
    pub(crate) fn of_file(mut self, names: &Renamed) -> Self {
        let origins = Arc::make_mut(&mut self.index).edits.origins.values_mut();
        for name in origins.flat_map(|origin| &mut origin.from) {
            if let Some(origin) = names.origin(name) {
                origin.clone_into(name);
            }
        }
        self
    }

    /// The entries of this checkpoint under other names.
    pub(crate) fn under(&self, names: &Renamed) -> Self {
        Self {
            index: Arc::new(names.index.clone()),
            source: self.source.clone(),
        }
    }

    /// The entries that are not in `consumed`, under the file's names. `consumed` has the new names of `names`.
    pub(crate) fn left(&self, names: &Renamed, consumed: &HashSet<&str>) -> Self {
        Self {
            index: Arc::new(names.left(&self.index, consumed)),
            source: self.source.clone(),
        }
    }

    /// The names of all entries, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.index.names().collect();
        names.sort_unstable();
        names
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns true if there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true if there is an entry with this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.index.contains(name)
    }

    /// The names of the entries that a filter skipped when the checkpoint was saved, sorted.
    #[must_use]
    pub fn filtered(&self) -> Vec<&str> {
        self.index.filtered.iter().map(String::as_str).collect()
    }

    /// The element type and the shape of a tensor; `None` if no tensor has this name.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        let cast = self.index.edits.casts.get(name);
        cast.or_else(|| self.index.tensors.get(name).map(|stored| &stored.info))
    }

    /// Decodes a value as the type `T`. The keys of a map follow its name, to read a value inside of it:
    /// `hyper_parameters.width`.
    ///
    /// # Errors
    /// If there is no such entry, it is a tensor, or it does not decode as `T`.
    pub fn value<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let inside = self.value_inside(name);
        let value = match &inside {
            Some(value) => value,
            None => self.stored_value(name)?,
        };
        value.look().map_err(|source| Error::Memory {
            purpose: format!("read value `{}`", shown(name)),
            source,
        })?;
        value.decode().map_err(|error| Error::WrongType {
            name: name.to_owned(),
            what: format!("is a value of another type: {error}"),
        })
    }

    /// A value without a conversion.
    ///
    /// # Errors
    /// If there is no such entry, or it is a tensor.
    pub fn stored_value(&self, name: &str) -> Result<&Value> {
        self.index.values.get(name).ok_or_else(|| match self.info(name) {
            Some(info) => Error::WrongType {
                name: name.to_owned(),
                what: format!("is a tensor, {info}; read it with `tensor`"),
            },
            None => self.no_such(name),
        })
    }

    /// A value inside of a map that is an entry, by the entry's name and the keys of the map: `hyper_parameters.width`. `None` if
    /// there is no such value, and for the name of an entry.
    #[must_use]
    pub fn value_inside(&self, name: &str) -> Option<Value> {
        (!self.index.contains(name))
            .then(|| self.index.value_inside(name))
            .flatten()
    }

    /// The entries below `name`, named relative to it: `subtree("model")` has `fc1.weight` for `model.fc1.weight`.
    /// Empty if there are no entries below `name`.
    #[must_use]
    pub fn subtree(&self, name: &str) -> Self {
        let below = |entry: &String| strip(entry, name).filter(|rest| !rest.is_empty()).map(str::to_owned);
        let tensors = self
            .index
            .tensors
            .iter()
            .filter_map(|(key, stored)| Some((below(key)?, stored.clone())));
        let values = self
            .index
            .values
            .iter()
            .filter_map(|(key, value)| Some((below(key)?, value.clone())));
        // The entries of a value that is a map become values by themselves.
        let inside = self.index.values.get(name).and_then(Value::as_map_entries);
        let values = inside.unwrap_or_default().into_iter().chain(values);
        let structs = self.index.structs.iter().filter_map(|record| {
            let path = strip(&record.path, name)?.to_owned();
            Some(StructRecord { path, ..record.clone() })
        });
        let index = Index {
            origin: format!("{}, below `{name}`", self.index.origin),
            tensors: tensors.collect(),
            values: values.collect(),
            filtered: self.index.filtered.iter().filter_map(below).collect(),
            order: self.index.order.iter().filter_map(below).collect(),
            tensors_only: self.index.tensors_only,
            structs: structs.collect(),
            cuts: BTreeMap::new(),
            edits: self.index.edits.below(name),
        };
        Self {
            index: Arc::new(index),
            source: self.source.clone(),
        }
    }

    /// The checkpoint's path.
    #[must_use]
    pub fn origin(&self) -> &Path {
        Path::new(&self.index.origin)
    }

    fn stored(&self, name: &str) -> Result<&StoredTensor> {
        self.index
            .tensors
            .get(name)
            .ok_or_else(|| match self.index.values.get(name) {
                Some(value) => Error::WrongType {
                    name: name.to_owned(),
                    what: format!("is a value, {}; read it with `value`", value.describe()),
                },
                None => self.no_such(name),
            })
    }

    /// The error for a subtree without entries.
    pub(crate) fn no_subtree(&self, name: &str) -> Error {
        if !self.index.contains(name) {
            return self.no_such(name);
        }
        let advice = match name.rsplit_once('.') {
            Some((level, last)) => format!("the subtree `{level}` holds it, as `{last}`"),
            None => "it lies at the first level, which no subtree holds".to_owned(),
        };
        Error::WrongType {
            name: name.to_owned(),
            what: format!("is an entry itself, without entries below it; {advice}"),
        }
    }

    pub(crate) fn no_such(&self, name: &str) -> Error {
        // Names of very different lengths are not similar, and comparing a million names would take long.
        let near_in_length = |other: &&str| other.len().abs_diff(name.len()) <= name.len() / 2 + 2;
        let candidates = self.index.names().filter(near_in_length).take(MOST_COMPARED);
        let scored = candidates.map(|other| (strsim::normalized_damerau_levenshtein(name, other), other));
        let near = scored
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(score, _)| *score >= 0.6);
        let below = self.index.names().any(|other| strip(other, name).is_some());
        Error::NoSuchEntry {
            name: name.to_owned(),
            origin: self.index.origin.clone(),
            suggestion: match near {
                _ if below => format!("; there are entries below it: see subtree({name:?})"),
                _ if self.index.filtered.contains(name) => "; a filter left it out when the file was saved".into(),
                Some((_, near)) => format!("; did you mean `{near}`?"),
                None => String::new(),
            },
        }
    }
}

impl std::fmt::Debug for RawCheckpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawCheckpoint")
            .field("origin", &self.index.origin)
            .field("names", &self.names())
            .finish_non_exhaustive()
    }
}
