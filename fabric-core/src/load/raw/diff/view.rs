//! The entries of a checkpoint under the names that a comparison uses.
//!
//! Formats store one state under different names. A map of values is one entry of a `.pt` file and many entries of a struct, so
//! maps are compared key by key. PyTorch numbers the state of parameters, `optimizer.state.3.exp_avg`; this library names it. If
//! the file has the names of the parameters (`param_names`), the names are used.

mod optimizers;

use std::borrow::Cow;
use std::collections::BTreeMap;

use ciborium::Value as Cbor;

use self::optimizers::Optimizers;
pub(super) use self::optimizers::one_sided_options;
use crate::entry::join;
use crate::error::Result;
use crate::load::raw::RawCheckpoint;
use crate::load::scalar::readings;
use crate::source::read::read_into;
use crate::source::{ReadLimit, StoredTensor};
use crate::value::{Value, name_of_key};

/// The bytes that the names of all values inside of maps may have, unless the caller has raised the bound for files.
const MOST_NAMES: u64 = 64 << 20;

/// A checkpoint as a comparison sees it.
#[derive(Debug)]
pub(super) struct View<'c> {
    /// The tensors, each with its name in the checkpoint.
    pub(super) tensors: BTreeMap<Cow<'c, str>, (&'c str, &'c StoredTensor)>,
    /// The values that are no maps, by their paths of keys.
    pub(super) values: BTreeMap<Cow<'c, str>, Cow<'c, Cbor>>,
    optimizers: Optimizers<'c>,
}

impl<'c> View<'c> {
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) if the paths of the values take far more memory than is usual.
    pub(super) fn of(raw: &'c RawCheckpoint) -> Result<Self> {
        let index = &*raw.index;
        let optimizers = Optimizers::of(index);
        let mut leaves = Leaves {
            origin: raw.origin(),
            limit: raw.source.limit(),
            names: 0,
            found: BTreeMap::new(),
        };
        for (name, value) in &index.values {
            leaves.add(Cow::Borrowed(name), &value.0)?;
        }
        let values = optimizers.with_names_as_parameters(leaves.found);
        let values = values.into_iter().map(|(name, value)| {
            let renamed = optimizers.renamed(&name).filter(|new| !index.contains(new));
            (renamed.map_or(name, Cow::Owned), value)
        });
        let tensors = index.tensors.iter().map(|(name, stored)| {
            let renamed = optimizers.renamed(name).filter(|new| !index.contains(new));
            (renamed.map_or(Cow::Borrowed(&**name), Cow::Owned), (&**name, stored))
        });
        Ok(Self {
            tensors: tensors.collect(),
            values: values.collect(),
            optimizers,
        })
    }
}

/// Numbers that are values in one checkpoint and tensors in the other: PyTorch keeps the step count of a parameter in a tensor.
impl View<'_> {
    /// Takes each tensor of one element for a value, if `other` has a number of this name. With `names_only`, no tensor is read,
    /// and the value is null.
    ///
    /// # Errors
    /// If a tensor cannot be read, or is damaged.
    pub(super) fn take_numbers(&mut self, raw: &RawCheckpoint, other: &Self, names_only: bool) -> Result<()> {
        let is_number = |name: &str| {
            let value = other.values.get(name);
            value.is_some_and(|value| matches!(**value, Cbor::Integer(_) | Cbor::Float(_) | Cbor::Bool(_)))
        };
        let tensors = self.tensors.iter();
        let numbers = tensors.filter(|(name, (_, stored))| stored.info.elements() == Some(1) && is_number(name));
        let numbers: Vec<_> = numbers.map(|(name, of)| (name.clone(), *of)).collect();
        for (name, (entry, stored)) in numbers {
            let value = if names_only {
                Some(Value::null())
            } else {
                let mut bytes = vec![0; stored.info.byte_len().unwrap_or_default()];
                read_into(&*raw.source, entry, stored, &mut bytes, 1)?;
                readings(stored.info.dtype(), &bytes).into_iter().next()
            };
            if let Some(value) = value {
                self.tensors.remove(&name);
                self.values.insert(name, Cow::Owned(value.0));
            }
        }
        Ok(())
    }
}

/// The values inside of maps, gathered.
struct Leaves<'c> {
    origin: &'c std::path::Path,
    limit: ReadLimit,
    /// The bytes of all names.
    names: u64,
    found: BTreeMap<Cow<'c, str>, Cow<'c, Cbor>>,
}

impl<'c> Leaves<'c> {
    /// Adds a value, or the values inside of it. The nesting of values is bounded, and so is the recursion.
    fn add(&mut self, name: Cow<'c, str>, value: &'c Cbor) -> Result<()> {
        self.names = self.names.saturating_add(name.len() as u64);
        self.limit
            .check_piece(self.origin, "list of keys inside of values", self.names, MOST_NAMES)?;
        if let Some(entries) = by_name(value) {
            for (key, inner) in entries {
                self.add(Cow::Owned(join(&name, &key)), inner)?;
            }
        } else {
            self.found.insert(name, Cow::Borrowed(value));
        }
        Ok(())
    }
}

/// The items of a map by their keys, and of a list that holds maps by their numbers; `None` for every other value, and for a map
/// that has none, or whose keys cannot be parts of a name.
fn by_name(value: &Cbor) -> Option<Vec<(String, &Cbor)>> {
    match value {
        Cbor::Map(entries) if !entries.is_empty() => {
            let named = entries.iter().map(|(key, value)| Some((name_of_key(key)?, value)));
            named.collect()
        }
        Cbor::Array(items) if items.iter().any(Cbor::is_map) => {
            let items = items.iter().enumerate();
            Some(items.map(|(number, item)| (number.to_string(), item)).collect())
        }
        _ => None,
    }
}
