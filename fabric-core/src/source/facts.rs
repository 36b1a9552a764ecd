//! Facts about a converted checkpoint that its entries do not show, in the head of its manifest.
//!
//! A checkpoint that was converted from a file of PyTorch has an optimizer that numbers its parameters. The order of the file's
//! names says which parameters these are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Index, StoredTensor};
use crate::error::Result;
use crate::format::facts::{fact, read};
use crate::format::manifest::Fact;

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
        let names = self.order.iter().filter(|name| self.tensors.contains_key(*name));
        let names: Vec<&String> = names.collect();
        if !names.is_empty() {
            facts.push(fact(ORDER, &names)?);
        }
        if self.tensors_only {
            facts.push(fact(TENSORS_ONLY, &true)?);
        }
        Ok(facts)
    }
}

/// The bytes in front of a text in CBOR, at most.
const HEAD: usize = 9;

/// The order in the facts, of as many names as there are tensors at most. A list that is longer than all names is not read: its
/// items could take many times the memory of the tensors.
pub(crate) fn order(facts: &[Fact], tensors: &BTreeMap<String, StoredTensor>) -> Arc<[String]> {
    let most: usize = tensors.keys().map(|name| name.len() + HEAD).sum();
    let facts = facts.iter().filter(|fact| fact.value.len() <= most + HEAD);
    let names: Vec<String> = read(facts, ORDER).unwrap_or_default();
    let known = names.into_iter().filter(|name| tensors.contains_key(name));
    known.take(tensors.len()).collect()
}

pub(crate) fn tensors_only(facts: &[Fact]) -> bool {
    read(facts.iter().filter(|fact| fact.value.len() == 1), TENSORS_ONLY).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{DType, TensorInfo};

    fn index(names: &[&str], order: &[&str]) -> Index {
        let tensor = StoredTensor {
            info: TensorInfo::new(DType::F32, vec![0]),
            parts: Vec::new(),
        };
        Index {
            tensors: names.iter().map(|name| ((*name).to_owned(), tensor.clone())).collect(),
            order: order.iter().map(|name| (*name).to_owned()).collect(),
            tensors_only: true,
            ..Index::default()
        }
    }

    #[test]
    fn facts_are_read_back_and_sorted() {
        let index = index(&["b", "a"], &["b", "gone", "a"]);
        let facts = index.facts().unwrap();
        assert!(facts.is_sorted_by(|a, b| a.key < b.key));
        assert_eq!(order(&facts, &index.tensors)[..], ["b", "a"]);
        assert!(tensors_only(&facts));
        assert!(super::super::Index::default().facts().unwrap().is_empty());
    }

    #[test]
    fn facts_that_say_something_else_are_not_believed() {
        let index = index(&["a"], &[]);
        let long: Vec<u8> = [&[0x9a, 0, 1, 0, 0][..], &vec![0x60; 65_536]].concat();
        for value in [vec![], vec![0xff], vec![0x61, b'a'], vec![0x81, 0x61, b'b'], long] {
            let facts = [ORDER, TENSORS_ONLY].map(|key| Fact {
                key: key.to_owned(),
                value: value.clone(),
            });
            assert!(order(&facts, &index.tensors).is_empty(), "{value:x?}");
            assert!(!tensors_only(&facts));
        }
    }
}
