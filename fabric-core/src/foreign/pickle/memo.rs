//! What a pickle remembers, by number.

use super::Id;
use crate::hash::HashMap;

/// Picklers number what they remember from 0 on, which a list holds; numbers out of order are looked up in a table.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    dense: Vec<Id>,
    sparse: HashMap<u32, Id>,
}

impl Memo {
    /// The memory that one more entry takes, room to grow included.
    pub(crate) const ENTRY: usize = 2 * size_of::<Id>();

    pub(crate) fn len(&self) -> usize {
        self.dense.len() + self.sparse.len()
    }

    pub(crate) fn insert(&mut self, key: u32, id: Id) {
        let at = key as usize;
        if let Some(held) = self.dense.get_mut(at) {
            *held = id;
        } else if at == self.dense.len() && self.sparse.is_empty() {
            self.dense.push(id);
        } else {
            self.sparse.insert(key, id);
        }
    }

    pub(crate) fn get(&self, key: u32) -> Option<Id> {
        self.dense.get(key as usize).or_else(|| self.sparse.get(&key)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_any_order_are_remembered_once_each() {
        let mut memo = Memo::default();
        for (key, id) in [(0, 5), (1, 6), (7, 7), (2, 8), (1, 9), (u32::MAX, 10), (7, 11)] {
            memo.insert(key, Id(id));
        }
        assert_eq!(memo.len(), 5);
        for (key, id) in [(0, 5), (1, 9), (2, 8), (7, 11), (u32::MAX, 10)] {
            assert_eq!(memo.get(key), Some(Id(id)));
        }
        assert_eq!(memo.get(3), None);
    }
}
