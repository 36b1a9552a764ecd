//! Sets and heaps of plain values: each is one value, which a load replaces whole. The stored form is a list, as serde's.

use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::hash::{BuildHasher, Hash};

use super::sequences::{items_of, stored_items};
use crate::state::{Checkpoint, Keys, Kind, Sealed, Types, Visitor, VisitorMut};
use crate::value::{Value, ValueError};

macro_rules! sets {
    ($($(#[$attribute:meta])* $set:ty, [$($bound:tt)*], [$($generics:tt)*], $list:expr;)*) => {$(
        $(#[$attribute])*
        impl<T: Checkpoint + $($bound)*, $($generics)*> Checkpoint for $set {
            const KIND: Kind = T::KIND.in_a_set();
            const KEYS: Keys = Keys::NONE;

            fn may_differ(types: &mut Types) -> bool {
                T::may_differ(types)
            }

            fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
                entries.container(self, |_, _| ());
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
                entries.container(self, |_, _| ());
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                let list: fn(Vec<Value>) -> Value = $list;
                stored_items(self.iter()).map(list)
            }

            fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
                items_of::<T, _>(value)
            }
        }
    )*};
}

// The order of a hash set and of a heap's memory depends on its history, so equal ones are stored in the order of the
// stored forms.
sets! {
    BTreeSet<T>, [Ord], [], Value::list;
    HashSet<T, S>, [Eq + Hash], [S: BuildHasher + Default], Value::sorted_list;
    BinaryHeap<T>, [Ord], [], Value::sorted_list;
    #[cfg(feature = "indexmap")]
    #[cfg_attr(docsrs, doc(cfg(feature = "indexmap")))]
    indexmap::IndexSet<T, S>, [Eq + Hash], [S: BuildHasher + Default], Value::list;
}
