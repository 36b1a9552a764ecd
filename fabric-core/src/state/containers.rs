//! Containers: a container of plain values is one value; any other container shows its parts, named by index or key.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

use super::{Checkpoint, Keys, Kind, Sealed, Types, Visitor, VisitorMut};
use crate::value::{Value, ValueError, add};

fn list_value<'t, T: Checkpoint + 't>(items: impl IntoIterator<Item = &'t T>) -> Result<Value, ValueError> {
    let mut made = Vec::new();
    for item in items {
        add(&mut made, item.to_value(Sealed)?)?;
    }
    Ok(Value::list(made))
}

fn items_of<T: Checkpoint, C: FromIterator<T>>(value: &Value) -> Result<C, ValueError> {
    let items = value
        .as_list()
        .ok_or_else(|| ValueError::new(format!("expected a list, found {}", value.describe())))?;
    items.iter().map(|item| T::from_value(item, Sealed)).collect()
}

/// A sequence, whose parts are named `0`, `1`, …
macro_rules! sequences {
    ($($sequence:ty, [$($generics:tt)*], $from:expr;)*) => {$(
        impl<T: Checkpoint, $($generics)*> Checkpoint for $sequence {
            const KIND: Kind = Kind::Value.and(T::KIND);
            const KEYS: Keys = Keys::NUMBERS;

            fn may_differ(types: &mut Types) -> bool {
                T::may_differ(types)
            }

            fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
                entries.container(self, |entries, whole| {
                    for (at, part) in whole.iter().enumerate() {
                        entries.nested(&at.to_string(), |entries| part.visit(entries));
                    }
                });
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
                entries.container(self, |entries, whole| {
                    for (at, part) in whole.iter_mut().enumerate() {
                        entries.nested(&at.to_string(), |entries| part.visit_mut(entries));
                    }
                });
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                list_value(self)
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
    [T; N], [const N: usize], |value| {
        let items: Vec<T> = items_of(value)?;
        let found = items.len();
        items.try_into().map_err(|_| ValueError::new(format!("expected {N} items, found {found}")))
    };
}

/// A key type for maps: the text of a key becomes a part of entry names.
#[diagnostic::on_unimplemented(
    message = "a map in a checkpoint needs keys that are names, and `{Self}` is none",
    label = "this key cannot be part of an entry's name",
    note = "use `String` keys",
    note = "if the map holds plain values that implement serde's traits, mark the field #[checkpoint(metadata)] instead"
)]
pub trait MapKey: Clone + Ord + Hash {
    /// The text of the key.
    fn text(&self) -> &str;

    /// The key with this text.
    fn of_text(text: String) -> Self;
}

impl MapKey for String {
    fn text(&self) -> &str {
        self
    }

    fn of_text(text: String) -> Self {
        text
    }
}

fn map_value<'t, K: MapKey + 't, T: Checkpoint + 't>(
    entries: impl IntoIterator<Item = (&'t K, &'t T)>,
) -> Result<Value, ValueError> {
    let mut made = Vec::new();
    for (key, value) in entries {
        add(&mut made, (Value::of(key.text())?, value.to_value(Sealed)?))?;
    }
    Value::map_of(made).ok_or_else(|| ValueError::new("has one key twice"))
}

fn entries_of<K: MapKey, T: Checkpoint, C: FromIterator<(K, T)>>(value: &Value) -> Result<C, ValueError> {
    let entries = value
        .as_map()
        .ok_or_else(|| ValueError::new(format!("expected a map, found {}", value.describe())))?;
    entries
        .into_iter()
        .map(|(key, value)| Ok((K::of_text(key), T::from_value(&value, Sealed)?)))
        .collect()
}

/// A map, whose parts are named by key and shown in the order of the keys.
macro_rules! maps {
    ($($map:ty, [$($generics:tt)*];)*) => {$(
        impl<K: MapKey, T: Checkpoint, $($generics)*> Checkpoint for $map {
            const KIND: Kind = Kind::Value.and(T::KIND);
            const KEYS: Keys = Keys::ANY;

            fn may_differ(types: &mut Types) -> bool {
                T::may_differ(types)
            }

            fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
                entries.container(self, |entries, whole| {
                    let mut parts: Vec<_> = whole.iter().collect();
                    parts.sort_by_key(|(key, _)| *key);
                    for (key, part) in parts {
                        entries.nested(key.text(), |entries| part.visit(entries));
                    }
                });
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
                entries.container(self, |entries, whole| {
                    let mut parts: Vec<_> = whole.iter_mut().collect();
                    parts.sort_by_key(|(key, _)| *key);
                    for (key, part) in parts {
                        entries.nested(key.text(), |entries| part.visit_mut(entries));
                    }
                });
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                map_value(self)
            }

            fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
                entries_of::<K, T, _>(value)
            }
        }
    )*};
}

maps! {
    BTreeMap<K, T>, [];
    HashMap<K, T, S>, [S: BuildHasher + Default];
}

/// `None` has no entries. A load replaces a plain value in an `Option`, also `None` by a value and a value by `None`;
/// it restores a component in place if the `Option` holds one.
impl<T: Checkpoint> Checkpoint for Option<T> {
    const KIND: Kind = T::KIND;
    const KEYS: Keys = T::KEYS;
    const VERSION: u32 = T::VERSION;

    fn may_differ(types: &mut Types) -> bool {
        T::may_differ(types)
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        match self {
            // The `Option` is encoded as a whole: the inner value may itself be a `None`.
            Some(_) if T::KIND.is_value() => entries.plain(self),
            None if T::KIND.is_value() => entries.absent(),
            Some(inner) => inner.visit(entries),
            None => {}
        }
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.container(self, |entries, whole| match whole {
            Some(inner) => inner.visit_mut(entries),
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

impl<T: Checkpoint> Checkpoint for Box<T> {
    const KIND: Kind = T::KIND;
    const KEYS: Keys = T::KEYS;
    const VERSION: u32 = T::VERSION;

    fn may_differ(types: &mut Types) -> bool {
        T::may_differ(types)
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        (**self).visit(entries);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        (**self).visit_mut(entries);
    }

    fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
        (**self).to_value(Sealed)
    }

    fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
        T::from_value(value, Sealed).map(Box::new)
    }

    fn when_absent(_: Sealed) -> Option<Self> {
        T::when_absent(Sealed).map(Box::new)
    }
}

/// A mutable borrow of a part of a larger state. It always has named entries and is never part of a value.
impl<T: Checkpoint + ?Sized> Checkpoint for &mut T {
    const KIND: Kind = T::KIND.of_entries();
    const KEYS: Keys = T::KEYS;
    const VERSION: u32 = T::VERSION;

    fn may_differ(types: &mut Types) -> bool {
        T::may_differ(types)
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        (**self).visit(entries);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        (**self).visit_mut(entries);
    }
}

macro_rules! tuples {
    ($(($($part:ident . $at:tt),+))*) => {$(
        impl<$($part: Checkpoint),+> Checkpoint for ($($part,)+) {
            const KIND: Kind = Kind::Value$(.and($part::KIND))+;
            const KEYS: Keys = Keys::NUMBERS;

            fn may_differ(types: &mut Types) -> bool {
                false $(|| $part::may_differ(types))+
            }

            fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
                entries.container(self, |entries, whole| {
                    $(entries.nested(stringify!($at), |entries| whole.$at.visit(entries));)+
                });
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
                entries.container(self, |entries, whole| {
                    $(entries.nested(stringify!($at), |entries| whole.$at.visit_mut(entries));)+
                });
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                Ok(Value::list([$(self.$at.to_value(Sealed)?),+]))
            }

            fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
                const LEN: usize = [$(stringify!($at)),+].len();
                let items = value.as_list().unwrap_or_default();
                if items.len() != LEN {
                    let found = value.describe();
                    return Err(ValueError::new(format!("expected a list of {LEN} items, found {found}")));
                }
                Ok(($($part::from_value(&items[$at], Sealed)?,)+))
            }
        }
    )*};
}

tuples! {
    (A.0)
    (A.0, B.1)
    (A.0, B.1, C.2)
    (A.0, B.1, C.2, D.3)
    (A.0, B.1, C.2, D.3, E.4)
    (A.0, B.1, C.2, D.3, E.4, F.5)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7)
}
