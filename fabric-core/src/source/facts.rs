//! Facts about a converted checkpoint that its entries do not show, in the head of its manifest.
//!
//! A checkpoint that was converted from a file of PyTorch has an optimizer that numbers its parameters. The order of the file's
//! names says which parameters these are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Index, StoredTensor};
use crate::error::{Result, StateError};
use crate::format::manifest::Fact;
use crate::value::Value;

/// The names of the tensors in the order of the program that wrote them.
const ORDER: &str = "tensor_order";

/// True if the format that the checkpoint was converted from stores no values.
const TENSORS_ONLY: &str = "tensors_only";

impl Index {
    /// The facts, sorted by their keys.
    ///
    /// # Errors
    /// If the system lacks the memory.
    pub(crate) fn facts(&self) -> Result<Vec<Fact>> {
        let mut facts = Vec::new();
        if !self.order.is_empty() {
            facts.push(fact(ORDER, &self.order[..])?);
        }
        if self.tensors_only {
            facts.push(fact(TENSORS_ONLY, &true)?);
        }
        Ok(facts)
    }
}

fn fact<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Fact> {
    let value = Value::of(value).and_then(|value| value.to_bytes());
    let value = value.map_err(|error| StateError::Value {
        name: key.to_owned(),
        what: error.to_string(),
    })?;
    let key = key.to_owned();
    Ok(Fact { key, value })
}

/// The order in the facts, of as many names as there are tensors at most.
pub(crate) fn order(facts: &[Fact], tensors: &BTreeMap<String, StoredTensor>) -> Arc<[String]> {
    let names: Vec<String> = read(facts, ORDER).unwrap_or_default();
    let known = names.into_iter().filter(|name| tensors.contains_key(name));
    known.take(tensors.len()).collect()
}

pub(crate) fn tensors_only(facts: &[Fact]) -> bool {
    read(facts, TENSORS_ONLY).unwrap_or_default()
}

fn read<T: DeserializeOwned>(facts: &[Fact], key: &str) -> Option<T> {
    let fact = facts.iter().find(|fact| fact.key == key)?;
    Value::from_bytes(&fact.value).ok()?.decode().ok()
}
