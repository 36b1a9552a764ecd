//! Maps, whose parts are named by the texts of their keys.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use crate::state::{Checkpoint, Keys, Kind, MapKey, Recorded, Sealed, TypeWalk, Types, Visitor, VisitorMut};
use crate::value::{Value, ValueError, add};

/// The stored forms of keys and values, in the order of the map.
fn stored_entries<'t, K: MapKey + 't, T: Checkpoint + 't>(
    entries: impl IntoIterator<Item = (&'t K, &'t T)>,
) -> Result<Vec<(Value, Value)>, ValueError> {
    let mut made = Vec::new();
    for (key, value) in entries {
        add(&mut made, (key.stored(Sealed)?, value.to_value(Sealed)?))?;
    }
    Ok(made)
}

/// The entries of a stored map, each key as a text.
fn texts_of(value: &Value) -> Result<Vec<(String, Value)>, ValueError> {
    value.as_keyed().ok_or_else(|| {
        let found = value.describe();
        ValueError::new(format!(
            "expected a map whose keys are texts, integers or `bool`, found {found}"
        ))
    })
}

fn key_of<K: MapKey>(text: &str) -> Result<K, ValueError> {
    K::of_text(text).ok_or_else(|| {
        let name = without_paths(std::any::type_name::<K>());
        ValueError::new(format!("key `{text}` is no `{name}`"))
    })
}

/// The name of a type without the paths of its modules: `NonZero<u8>`.
fn without_paths(name: &str) -> String {
    let parts = name.split_inclusive(['<', '(', '[', ',', ' ', '&']);
    parts.map(|part| part.rsplit("::").next().unwrap_or(part)).collect()
}

/// The parts in the order of their keys. Keys of equal order follow each other by their texts.
fn by_key<'k, K: MapKey + 'k, T>(parts: impl Iterator<Item = (&'k K, T)>) -> Vec<(&'k K, T)> {
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by(|(a, _), (b, _)| a.order(b).then_with(|| a.text().cmp(&b.text())));
    parts
}

macro_rules! maps {
    ($($(#[$attribute:meta])* $map:ty, [$($bound:tt)*], [$($generics:tt)*], $order:path, $stored:path;)*) => {$(
        $(#[$attribute])*
        impl<K: MapKey + $($bound)*, T: Checkpoint, $($generics)*> Checkpoint for $map {
            const KIND: Kind = Kind::Value.and(T::KIND);
            const KEYS: Keys = Keys::ANY;
            const RECORDED: Recorded = Recorded::Never;

            fn may_differ(types: &mut Types) -> bool {
                T::may_differ(types)
            }

            fn structs(types: &mut TypeWalk<'_>) {
                types.items(|types| T::structs(types));
            }

            fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
                entries.container(self, |entries, whole| {
                    for (key, part) in $order(whole.iter()) {
                        entries.nested(&key.text(), |entries| part.visit_part(entries, Sealed));
                    }
                });
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
                entries.container(self, |entries, whole| {
                    for (key, part) in $order(whole.iter_mut()) {
                        entries.nested(&key.text(), |entries| part.visit_part_mut(entries, Sealed));
                    }
                });
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                $stored(stored_entries(self)?).map_err(|key| {
                    ValueError::new(format!("has the key {} twice: two keys of the map have one text", key.describe()))
                })
            }

            fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
                let mut made = Self::default();
                for (text, part) in texts_of(value)? {
                    let replaced = made.insert(key_of::<K>(&text)?, T::from_value(&part, Sealed)?);
                    if replaced.is_some() {
                        return Err(ValueError::new(format!("key `{text}` is there twice")));
                    }
                }
                Ok(made)
            }
        }
    )*};
}

maps! {
    BTreeMap<K, T>, [Ord], [], std::convert::identity, Value::map_of;
    HashMap<K, T, S>, [Eq + Hash], [S: BuildHasher + Default], by_key, Value::map_of;
    #[cfg(feature = "indexmap")]
    #[cfg_attr(docsrs, doc(cfg(feature = "indexmap")))]
    indexmap::IndexMap<K, T, S>, [Eq + Hash], [S: BuildHasher + Default], std::convert::identity, Value::map_in_order;
}
