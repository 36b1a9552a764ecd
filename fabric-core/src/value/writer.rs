//! Encoding of serde types as values, which tell every `Option` inside an `Option` apart.

use ciborium::Value as Cbor;
use serde::ser::{self, Serialize, Serializer};

use super::{MAX_DEPTH, ValueError, some};
use crate::io::pages;

/// A serializer of a value inside `depth` lists and maps.
#[derive(Clone, Copy)]
pub(super) struct ValueWriter {
    depth: usize,
}

impl ValueWriter {
    /// A serializer of a value that is not inside another one.
    pub(super) fn new() -> Self {
        Self { depth: 0 }
    }

    /// A serializer of a value inside a list or a map.
    fn inside(self) -> Result<Self, ValueError> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            // The depth is checked here too: types that nest without end would exhaust the stack.
            return Err(ValueError::new(format!(
                "it is nested more than {MAX_DEPTH} levels deep; flatten it"
            )));
        }
        Ok(Self { depth })
    }

    fn items(self, variant: Option<&'static str>) -> Result<ItemsWriter, ValueError> {
        Ok(ItemsWriter {
            inside: self.inside()?,
            made: Vec::new(),
            variant,
        })
    }

    fn entries(self, variant: Option<&'static str>) -> Result<EntriesWriter, ValueError> {
        Ok(EntriesWriter {
            inside: self.inside()?,
            made: Vec::new(),
            key: None,
            variant,
        })
    }
}

/// A list under construction, or a variant with a list.
pub(super) struct ItemsWriter {
    inside: ValueWriter,
    made: Vec<Cbor>,
    variant: Option<&'static str>,
}

/// A map under construction, or a variant with a map.
pub(super) struct EntriesWriter {
    inside: ValueWriter,
    made: Vec<(Cbor, Cbor)>,
    key: Option<Cbor>,
    variant: Option<&'static str>,
}

/// Checks the memory for a text, or for bytes.
fn room(len: usize) -> Result<(), ValueError> {
    pages::count(len).map_err(ValueError::no_memory)
}

/// Adds an item to a list, or an entry to a map, if there is memory for it.
pub(crate) fn add<T>(made: &mut Vec<T>, item: T) -> Result<(), ValueError> {
    room(size_of::<T>())?;
    pages::push(made, item).map_err(ValueError::no_memory)
}

/// The value of a variant with contents: a map of one entry.
fn variant(name: Option<&'static str>, contents: Cbor) -> Cbor {
    match name {
        Some(name) => Cbor::Map(vec![(name.into(), contents)]),
        None => contents,
    }
}

macro_rules! scalars {
    ($($method:ident($type:ty);)*) => {$(
        fn $method(self, value: $type) -> Result<Cbor, ValueError> {
            Ok(value.into())
        }
    )*};
}

impl Serializer for ValueWriter {
    type Ok = Cbor;
    type Error = ValueError;
    type SerializeSeq = ItemsWriter;
    type SerializeTuple = ItemsWriter;
    type SerializeTupleStruct = ItemsWriter;
    type SerializeTupleVariant = ItemsWriter;
    type SerializeMap = EntriesWriter;
    type SerializeStruct = EntriesWriter;
    type SerializeStructVariant = EntriesWriter;

    scalars! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
    }

    fn serialize_str(self, text: &str) -> Result<Cbor, ValueError> {
        room(text.len())?;
        Ok(text.into())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Cbor, ValueError> {
        room(bytes.len())?;
        Ok(bytes.into())
    }

    fn serialize_none(self) -> Result<Cbor, ValueError> {
        Ok(Cbor::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Cbor, ValueError> {
        value.serialize(self).map(some)
    }

    fn serialize_unit(self) -> Result<Cbor, ValueError> {
        Ok(Cbor::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Cbor, ValueError> {
        Ok(Cbor::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Cbor, ValueError> {
        Ok(name.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Cbor, ValueError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Cbor, ValueError> {
        Ok(variant(Some(name), value.serialize(self.inside()?)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ItemsWriter, ValueError> {
        self.items(None)
    }

    fn serialize_tuple(self, _: usize) -> Result<ItemsWriter, ValueError> {
        self.items(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<ItemsWriter, ValueError> {
        self.items(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<ItemsWriter, ValueError> {
        self.inside()?.items(Some(name))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<EntriesWriter, ValueError> {
        self.entries(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<EntriesWriter, ValueError> {
        self.entries(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<EntriesWriter, ValueError> {
        self.inside()?.entries(Some(name))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl ItemsWriter {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        let item = item.serialize(self.inside)?;
        add(&mut self.made, item)
    }
}

macro_rules! lists {
    ($($trait:ident, $method:ident;)*) => {$(
        impl ser::$trait for ItemsWriter {
            type Ok = Cbor;
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
                self.push(item)
            }

            fn end(self) -> Result<Cbor, ValueError> {
                Ok(variant(self.variant, Cbor::Array(self.made)))
            }
        }
    )*};
}

lists! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}

macro_rules! structs {
    ($($trait:ident;)*) => {$(
        impl ser::$trait for EntriesWriter {
            type Ok = Cbor;
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), ValueError> {
                let value = value.serialize(self.inside)?;
                add(&mut self.made, (name.into(), value))
            }

            fn end(self) -> Result<Cbor, ValueError> {
                Ok(variant(self.variant, Cbor::Map(self.made)))
            }
        }
    )*};
}

structs! {
    SerializeStruct;
    SerializeStructVariant;
}

impl ser::SerializeMap for EntriesWriter {
    type Ok = Cbor;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = Some(key.serialize(self.inside)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let value = value.serialize(self.inside)?;
        let key = self.key.take();
        let key = key.ok_or_else(|| ValueError::new("a map gave a value before its key"))?;
        add(&mut self.made, (key, value))
    }

    fn end(self) -> Result<Cbor, ValueError> {
        Ok(Cbor::Map(self.made))
    }
}

impl ser::Error for ValueError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}
