//! The parts of a list, of a map and of an enum, as serde asks for them.

use ciborium::Value as Cbor;
use serde::de::{self, DeserializeSeed, Visitor};

use super::ValueReader;
use crate::value::ValueError;

/// The items of a list.
pub(super) struct ItemsReader<'v> {
    pub(super) rest: std::slice::Iter<'v, Cbor>,
    pub(super) reader: ValueReader<'v>,
}

impl<'v> de::SeqAccess<'v> for ItemsReader<'v> {
    type Error = ValueError;

    fn next_element_seed<T: DeserializeSeed<'v>>(&mut self, seed: T) -> Result<Option<T::Value>, ValueError> {
        let next = self.rest.next();
        next.map(|item| seed.deserialize(self.reader.of(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The entries of a map.
pub(super) struct EntriesReader<'v> {
    pub(super) rest: std::slice::Iter<'v, (Cbor, Cbor)>,
    pub(super) value: Option<&'v Cbor>,
    pub(super) reader: ValueReader<'v>,
}

impl<'v> de::MapAccess<'v> for EntriesReader<'v> {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, ValueError> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(self.reader.of(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'v>>(&mut self, seed: T) -> Result<T::Value, ValueError> {
        match self.value.take() {
            Some(value) => seed.deserialize(self.reader.of(value)),
            None => Err(ValueError::new("the value of a map was requested before its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A variant with contents: a map of one entry.
pub(super) struct Variant<'v>(pub(super) ValueReader<'v>, pub(super) &'v (Cbor, Cbor));

impl<'v> de::EnumAccess<'v> for Variant<'v> {
    type Error = ValueError;
    type Variant = ValueReader<'v>;

    fn variant_seed<T: DeserializeSeed<'v>>(self, seed: T) -> Result<(T::Value, ValueReader<'v>), ValueError> {
        let Self(reader, (name, contents)) = self;
        Ok((seed.deserialize(reader.of(name))?, reader.of(contents)))
    }
}

impl<'v> de::VariantAccess<'v> for ValueReader<'v> {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        match self.value {
            Cbor::Null => Ok(()),
            _ => self.refused("unit"),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'v>>(self, seed: T) -> Result<T::Value, ValueError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'v>>(self, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.items(visitor)
    }

    fn struct_variant<V: Visitor<'v>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, ValueError> {
        self.entries(visitor)
    }
}
