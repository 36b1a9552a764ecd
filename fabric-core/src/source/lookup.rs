//! Looks up many names in an index. The names of a state come in nearly the order of its checkpoint.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use super::{Entry, Index, StoredTensor};

/// Finds entries by name: in constant time for names in the order of the index, and with a search for others.
pub(crate) struct Lookup<'i> {
    index: &'i Index,
    tensors: InOrder<'i, StoredTensor>,
}

impl<'i> Lookup<'i> {
    pub(crate) fn of(index: &'i Index) -> Self {
        Self {
            index,
            tensors: InOrder::of(&index.tensors),
        }
    }

    /// The entry of this name, as [`Index::entry`] gives it.
    pub(crate) fn entry(&mut self, name: &str) -> Option<Entry<'i>> {
        match self.tensors.get(name) {
            Some((name, stored)) => Some(Entry::Tensor(name, stored)),
            None => self.index.entry(name),
        }
    }
}

/// A position in a map.
struct InOrder<'i, V> {
    map: &'i BTreeMap<String, V>,
    next: Option<(&'i String, &'i V)>,
    rest: btree_map::Range<'i, String, V>,
}

impl<'i, V> InOrder<'i, V> {
    fn of(map: &'i BTreeMap<String, V>) -> Self {
        let mut rest = map.range::<String, _>(..);
        Self {
            map,
            next: rest.next(),
            rest,
        }
    }

    fn get(&mut self, name: &str) -> Option<(&'i String, &'i V)> {
        let is_next = |next: Option<(&String, &V)>| next.is_some_and(|(next, _)| next == name);
        if !is_next(self.next) {
            self.rest = self.map.range::<str, _>((Bound::Included(name), Bound::Unbounded));
            self.next = self.rest.next();
        }
        let found = self.next.filter(|_| is_next(self.next))?;
        self.next = self.rest.next();
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{DType, TensorInfo};
    use crate::value::Value;

    #[test]
    fn entries_are_found_in_whatever_order_they_are_asked_for() {
        let stored = StoredTensor {
            info: TensorInfo::new(DType::U8, vec![]),
            parts: Vec::new(),
        };
        let tensors = ["b", "d", "f"].map(|name| (name.to_owned(), stored.clone()));
        let index = Index {
            tensors: tensors.into(),
            values: BTreeMap::from([("e".to_owned(), Value::null())]),
            ..Index::default()
        };
        let orders: [&[&str]; 5] = [
            &["b", "d", "e", "f"],
            &["f", "e", "d", "b"],
            &["a", "b", "c", "d", "e", "f", "g"],
            &["g", "b", "b", "f", "f"],
            &["d", "", "e", "f"],
        ];
        for names in orders {
            let mut lookup = Lookup::of(&index);
            for name in names {
                let found = lookup.entry(name).map(Entry::name);
                assert_eq!(found, index.entry(name).map(Entry::name), "{name:?} of {names:?}");
            }
        }
    }
}
