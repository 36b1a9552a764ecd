//! Sequences of owned items, whose parts are named `0`, `1`, ….

use std::collections::{LinkedList, VecDeque};

use crate::state::{Checkpoint, Keys, Kind, Recorded, Sealed, TypeWalk, Types, Visitor, VisitorMut};
use crate::value::{Value, ValueError, add};

/// The stored forms of items, in their order.
pub(super) fn stored_items<'t, T: Checkpoint + 't>(
    items: impl IntoIterator<Item = &'t T>,
) -> Result<Vec<Value>, ValueError> {
    let mut made = Vec::new();
    for item in items {
        add(&mut made, item.to_value(Sealed)?)?;
    }
    Ok(made)
}

/// The items of a stored list.
pub(super) fn items_of<T: Checkpoint, C: FromIterator<T>>(value: &Value) -> Result<C, ValueError> {
    let items = value
        .as_list()
        .ok_or_else(|| ValueError::new(format!("expected a list, found {}", value.describe())))?;
    items.iter().map(|item| T::from_value(item, Sealed)).collect()
}

macro_rules! sequences {
    ($($(#[$attribute:meta])* $sequence:ty, [$($generics:tt)*] $(where [$($bounds:tt)*])?, $from:expr;)*) => {$(
        $(#[$attribute])*
        impl<T: Checkpoint, $($generics)*> Checkpoint for $sequence
        $(where $($bounds)*)?
        {
            const KIND: Kind = Kind::Value.and(T::KIND);
            const KEYS: Keys = Keys::NUMBERS;
            const RECORDED: Recorded = Recorded::Never;

            fn may_differ(types: &mut Types) -> bool {
                T::may_differ(types)
            }

            fn structs(types: &mut TypeWalk<'_>) {
                types.items(|types| T::structs(types));
            }

            fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
                entries.container(self, |entries, whole| {
                    for (at, part) in whole.iter().enumerate() {
                        entries.nested(&at.to_string(), |entries| part.visit_part(entries, Sealed));
                    }
                });
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
                entries.container(self, |entries, whole| {
                    for (at, part) in whole.iter_mut().enumerate() {
                        entries.nested(&at.to_string(), |entries| part.visit_part_mut(entries, Sealed));
                    }
                });
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                stored_items(self.iter()).map(Value::list)
            }

            fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
                let from: fn(&Value) -> Result<Self, ValueError> = $from;
                from(value)
            }
        }
    )*};
}

sequences! {
    Vec<T>, [], items_of::<T, _>;
    VecDeque<T>, [], items_of::<T, _>;
    LinkedList<T>, [], items_of::<T, _>;
    Box<[T]>, [], items_of::<T, _>;
    [T; N], [const N: usize], |value| {
        let items: Vec<T> = items_of(value)?;
        let found = items.len();
        items.try_into().map_err(|_| ValueError::new(format!("expected {N} items, found {found}")))
    };
    #[cfg(feature = "smallvec")]
    #[cfg_attr(docsrs, doc(cfg(feature = "smallvec")))]
    smallvec::SmallVec<[T; N]>, [const N: usize] where [[T; N]: smallvec::Array<Item = T>], items_of::<T, _>;
}
