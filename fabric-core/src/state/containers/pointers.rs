//! Boxes, borrows and wrappers of one item, which add no name.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::num::{Saturating, Wrapping};

use crate::state::{Checkpoint, Keys, Kind, Recorded, Sealed, TypeWalk, Types, Visitor, VisitorMut};
use crate::value::{Value, ValueError};

/// Implements `Checkpoint` for a type around one item, by the implementation of the item.
macro_rules! around {
    ($($type:ty, $new:path, |$around:ident| $inside:expr;)*) => {$(
        impl<T: Checkpoint> Checkpoint for $type {
            const KIND: Kind = T::KIND;
            const KEYS: Keys = T::KEYS;
            const RECORDED: Recorded = Recorded::Never;
            const VERSION: u32 = T::VERSION;

            fn may_differ(types: &mut Types) -> bool {
                T::may_differ(types)
            }

            fn structs(types: &mut TypeWalk<'_>) {
                T::structs(types);
            }

            fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
                let $around = self;
                (&$inside).visit_part(entries, Sealed);
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
                let $around = self;
                (&mut $inside).visit_part_mut(entries, Sealed);
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                let $around = self;
                (&$inside).to_value(Sealed)
            }

            fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
                T::from_value(value, Sealed).map($new)
            }

            fn when_absent(_: Sealed) -> Option<Self> {
                T::when_absent(Sealed).map($new)
            }
        }
    )*};
}

around! {
    Box<T>, Box::new, |around| **around;
    Wrapping<T>, Wrapping, |around| around.0;
    Saturating<T>, Saturating, |around| around.0;
    Reverse<T>, Reverse, |around| around.0;
}

/// A mutable borrow of a part of a larger state. It always has named entries and is never part of a value.
impl<T: Checkpoint + ?Sized> Checkpoint for &mut T {
    const KIND: Kind = T::KIND.of_entries();
    const KEYS: Keys = T::KEYS;
    const RECORDED: Recorded = Recorded::Never;
    const VERSION: u32 = T::VERSION;

    fn may_differ(types: &mut Types) -> bool {
        T::may_differ(types)
    }

    fn structs(types: &mut TypeWalk<'_>) {
        T::structs(types);
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        (**self).visit_part(entries, Sealed);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        (**self).visit_part_mut(entries, Sealed);
    }
}

/// A shared borrow of a part of a larger state, for a state that is only saved. A load into such a state returns
/// [`StateError::ReadOnly`](crate::StateError::ReadOnly) and changes nothing.
impl<T: Checkpoint + ?Sized> Checkpoint for &T {
    const KIND: Kind = T::KIND.shared();
    const KEYS: Keys = T::KEYS;
    const RECORDED: Recorded = Recorded::Never;
    const VERSION: u32 = T::VERSION;

    fn may_differ(types: &mut Types) -> bool {
        T::may_differ(types)
    }

    fn structs(types: &mut TypeWalk<'_>) {
        T::structs(types);
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        (**self).visit_part(entries, Sealed);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.shared();
    }

    fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
        (**self).to_value(Sealed)
    }
}

/// A value that may be borrowed. A load replaces a plain value by an owned one, and is refused for a borrowed component:
/// a clone of it would have the same tensors.
impl<T> Checkpoint for Cow<'_, T>
where
    T: Checkpoint + ToOwned<Owned: Checkpoint> + ?Sized,
{
    const KIND: Kind = T::KIND;
    const KEYS: Keys = T::KEYS;
    const RECORDED: Recorded = Recorded::Never;
    const VERSION: u32 = T::VERSION;

    fn may_differ(types: &mut Types) -> bool {
        T::may_differ(types) || T::Owned::may_differ(types)
    }

    fn structs(types: &mut TypeWalk<'_>) {
        T::structs(types);
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        (**self).visit_part(entries, Sealed);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.container(self, |entries, whole| {
            if matches!(whole, Self::Borrowed(_)) {
                entries.shared();
            }
            whole.to_mut().visit_part_mut(entries, Sealed);
        });
    }

    fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
        (**self).to_value(Sealed)
    }

    fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
        T::Owned::from_value(value, Sealed).map(Cow::Owned)
    }

    fn when_absent(_: Sealed) -> Option<Self> {
        T::Owned::when_absent(Sealed).map(Cow::Owned)
    }
}
