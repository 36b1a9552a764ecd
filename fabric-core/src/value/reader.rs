//! Decoding of values into serde types. Numbers are converted if they stay exact: Python writes `1` for `1.0`.

mod access;

use std::cell::{Cell, RefCell};

use ciborium::Value as Cbor;
use serde::de::{self, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};

use self::access::{EntriesReader, ItemsReader, Variant};
use super::number::Number;
use super::{OPAQUE, SOME, ValueError};

/// The state of decoding one value.
#[derive(Default)]
pub(super) struct ReadState {
    /// Show whole floats as integers to types that accept any number.
    pub(super) whole_as_integers: bool,
    /// True if a whole float was shown to a type that accepts any number.
    pub(super) has_shown_whole: Cell<bool>,
    /// The numbers that were shown to types that accept any number: serde's buffers (`flatten`, `untagged`) pass them
    /// on to types that round them.
    pub(super) at_risk: RefCell<Vec<Number>>,
}

/// A deserializer of one value.
#[derive(Clone, Copy)]
pub(super) struct ValueReader<'v> {
    pub(super) value: &'v Cbor,
    pub(super) reading: &'v ReadState,
}

impl<'v> ValueReader<'v> {
    fn of(self, value: &'v Cbor) -> Self {
        Self { value, ..self }
    }

    /// The value without tags that have no meaning here.
    fn plain(mut self) -> Result<Self, ValueError> {
        while let Cbor::Tag(tag, inner) = self.value
            && Number::of(self.value).is_none()
        {
            if *tag == OPAQUE {
                let what = inner.as_map().and_then(|said| said.first()?.1.as_text());
                return Err(ValueError::unreadable(what.unwrap_or_default()));
            }
            self = self.of(inner);
        }
        Ok(self)
    }

    fn unexpected(self) -> Unexpected<'v> {
        match (Number::of(self.value), self.value) {
            (Some(number), _) => number.unexpected(),
            (_, Cbor::Bool(flag)) => Unexpected::Bool(*flag),
            (_, Cbor::Bytes(bytes)) => Unexpected::Bytes(bytes),
            (_, Cbor::Text(text)) => Unexpected::Str(text),
            (_, Cbor::Array(_)) => Unexpected::Seq,
            (_, Cbor::Map(_)) => Unexpected::Map,
            (_, Cbor::Null) => Unexpected::Other("null"),
            _ => Unexpected::Other("tag"),
        }
    }

    fn refused<T>(self, expected: &'static str) -> Result<T, ValueError> {
        Err(ValueError::invalid_type(self.unexpected(), &expected))
    }

    fn number(self) -> Result<Option<Number>, ValueError> {
        Ok(Number::of(self.plain()?.value))
    }

    fn items<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let plain = self.plain()?;
        match plain.value {
            Cbor::Array(items) => visitor.visit_seq(ItemsReader {
                rest: items.iter(),
                reader: plain,
            }),
            _ => plain.refused("array"),
        }
    }

    fn entries<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let plain = self.plain()?;
        match plain.value {
            Cbor::Map(entries) => visitor.visit_map(EntriesReader {
                rest: entries.iter(),
                value: None,
                reader: plain,
            }),
            _ => plain.refused("map"),
        }
    }

    /// Shows a number to a type that accepts any number.
    fn show<V: Visitor<'v>>(self, number: Number, visitor: V) -> Result<V::Value, ValueError> {
        if number.losses().iter().any(Option::is_some) {
            self.reading.at_risk.borrow_mut().push(number);
        }
        // An integer has no negative zero.
        let is_kept = |float: f64| float != 0.0 || float.is_sign_positive();
        let whole = match number {
            Number::Float(float) if is_kept(float) => number.whole(),
            _ => None,
        };
        if whole.is_some() {
            self.reading.has_shown_whole.set(true);
        }
        let whole = whole.filter(|_| self.reading.whole_as_integers);
        match whole.unwrap_or(number) {
            Number::Float(float) => visitor.visit_f64(float),
            Number::Large(large) => visitor.visit_u128(large),
            Number::Integer(integer) => match (u64::try_from(integer), i64::try_from(integer)) {
                (Ok(unsigned), _) => visitor.visit_u64(unsigned),
                (_, Ok(signed)) => visitor.visit_i64(signed),
                _ => visitor.visit_i128(integer),
            },
        }
    }
}

macro_rules! integers {
    ($($method:ident, $visit:ident, $type:ident;)*) => {$(
        fn $method<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
            let Some(number) = self.number()? else {
                return self.plain()?.refused("an integer");
            };
            match number.integer::<$type>() {
                Some(integer) => visitor.$visit(integer),
                None if number.whole().is_some() => self.refused(stringify!($type)),
                None => self.refused("an integer"),
            }
        }
    )*};
}

macro_rules! same_as {
    ($($method:ident => $other:ident;)*) => {$(
        fn $method<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
            self.$other(visitor)
        }
    )*};
}

impl<'v> Deserializer<'v> for ValueReader<'v> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if let Cbor::Tag(SOME, inner) = self.value {
            return visitor.visit_some(self.of(inner));
        }
        let plain = self.plain()?;
        if let Some(number) = Number::of(plain.value) {
            return plain.show(number, visitor);
        }
        match plain.value {
            Cbor::Bool(flag) => visitor.visit_bool(*flag),
            Cbor::Text(text) => visitor.visit_str(text),
            Cbor::Bytes(bytes) => visitor.visit_bytes(bytes),
            Cbor::Array(_) => plain.items(visitor),
            Cbor::Map(_) => plain.entries(visitor),
            Cbor::Null => visitor.visit_none(),
            _ => plain.refused("a value"),
        }
    }

    integers! {
        deserialize_i8, visit_i8, i8;
        deserialize_i16, visit_i16, i16;
        deserialize_i32, visit_i32, i32;
        deserialize_i64, visit_i64, i64;
        deserialize_i128, visit_i128, i128;
        deserialize_u8, visit_u8, u8;
        deserialize_u16, visit_u16, u16;
        deserialize_u32, visit_u32, u32;
        deserialize_u64, visit_u64, u64;
        deserialize_u128, visit_u128, u128;
    }

    fn deserialize_f64<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.number()?.map(Number::double) {
            Some(Some(float)) => visitor.visit_f64(float),
            Some(None) => self.refused("an integer that f64 holds exactly"),
            None => self.plain()?.refused("f64"),
        }
    }

    fn deserialize_f32<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let number = self.number()?;
        match number.map(Number::single) {
            Some(Some(float)) => visitor.visit_f32(float),
            Some(None) if matches!(number, Some(Number::Float(_))) => self.refused("a number in the range of f32"),
            Some(None) => self.refused("an integer that f32 holds exactly"),
            None => self.plain()?.refused("f32"),
        }
    }

    fn deserialize_bool<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.plain()?.value {
            Cbor::Bool(flag) => visitor.visit_bool(*flag),
            _ => self.refused("bool"),
        }
    }

    fn deserialize_char<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.plain()?.value {
            Cbor::Text(text) if text.chars().nth(1).is_none() && !text.is_empty() => visitor.visit_str(text),
            _ => self.refused("char"),
        }
    }

    fn deserialize_str<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.plain()?.value {
            Cbor::Text(text) => visitor.visit_str(text),
            _ => self.refused("str"),
        }
    }

    fn deserialize_bytes<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.plain()?.value {
            Cbor::Bytes(bytes) => visitor.visit_bytes(bytes),
            _ => self.refused("bytes"),
        }
    }

    same_as! {
        deserialize_string => deserialize_str;
        deserialize_byte_buf => deserialize_bytes;
        deserialize_seq => items;
        deserialize_map => entries;
    }

    fn deserialize_option<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.value {
            Cbor::Null => visitor.visit_none(),
            Cbor::Tag(SOME, inner) => visitor.visit_some(self.of(inner)),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.value {
            Cbor::Null => visitor.visit_unit(),
            _ => self.refused("null"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'v>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'v>>(self, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.items(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.items(visitor)
    }

    fn deserialize_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.entries(visitor)
    }

    fn deserialize_enum<V: Visitor<'v>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let plain = self.plain()?;
        match plain.value {
            Cbor::Text(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Cbor::Map(entries) if entries.len() == 1 => visitor.visit_enum(Variant(plain, &entries[0])),
            _ => plain.refused("map"),
        }
    }

    fn deserialize_identifier<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl de::Error for ValueError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}
