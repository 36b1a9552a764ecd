//! JSON objects as lists of pairs, which keep repeated keys.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A text, borrowed from the input if it contains no escapes.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Text<'j>(#[serde(borrow)] pub(crate) Cow<'j, str>);

/// Keys with their values, in the order of the file.
#[derive(Debug)]
pub(crate) struct Pairs<'j, V>(pub(crate) Vec<(Text<'j>, V)>);

impl<'de: 'j, 'j, V: Deserialize<'de>> Deserialize<'de> for Pairs<'j, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<'j, V>(PhantomData<Pairs<'j, V>>);

impl<'de: 'j, 'j, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<'j, V> {
    type Value = Pairs<'j, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
