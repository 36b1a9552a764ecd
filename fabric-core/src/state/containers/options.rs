//! `Option`, which has no entries if it is `None`.

use crate::state::{Checkpoint, Keys, Kind, Recorded, Sealed, TypeWalk, Types, Visitor, VisitorMut};
use crate::value::{Value, ValueError};

/// `None` has no entries. A load replaces a plain value in an `Option`, also `None` by a value and a value by `None`;
/// it restores a component in place if the `Option` holds one.
impl<T: Checkpoint> Checkpoint for Option<T> {
    const KIND: Kind = T::KIND.in_an_option();
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
        match self {
            // The `Option` is encoded as a whole: the inner value may itself be a `None`.
            Some(_) if Self::KIND.is_value() => entries.plain(self),
            None if Self::KIND.is_value() => entries.absent(),
            Some(inner) => inner.visit_part(entries, Sealed),
            None => entries.walk.none(),
        }
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.container(self, |entries, whole| match whole {
            Some(inner) => inner.visit_part_mut(entries, Sealed),
            None => entries.walk.none(),
        });
    }

    fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
        match self {
            Some(inner) => inner.to_value(Sealed).map(Value::into_some),
            None => Ok(Value::null()),
        }
    }

    fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
        match value.as_some() {
            Some(inner) => T::from_value(&inner, Sealed).map(Some),
            None if value.is_null() => Ok(None),
            None => T::from_value(value, Sealed).map(Some),
        }
    }

    fn when_absent(_: Sealed) -> Option<Self> {
        Some(None)
    }
}
