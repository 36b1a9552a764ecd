//! A value as JSON.

use std::fmt;

use ciborium::Value as Cbor;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::number::Number;
use super::{OPAQUE, Value};
use crate::entry::serialize_float;

/// A value as JSON, which [`Value::json`] returns: its `Serialize` is for `serde_json`, its `Display` is JSON on one line.
#[derive(Clone, Copy, Debug)]
pub struct Json<'v>(&'v Cbor);

impl Value {
    /// The value as JSON.
    ///
    /// JSON lacks some numbers and bytes. NaN and infinities become the texts `"NaN"`, `"Infinity"` and `"-Infinity"`; raw bytes
    /// become `{"bytes": "00ff"}` with two digits for each; keys that are no texts become texts; and a value of another program that
    /// this library does not read becomes `{"not_read": "..."}` with the name of its class.
    ///
    /// ```
    /// # fn main() -> Result<(), fabric_core::ValueError> {
    /// let value = fabric_core::Value::of(&[0.5, f64::NAN])?;
    /// assert_eq!(value.json().to_string(), r#"[0.5,"NaN"]"#);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn json(&self) -> Json<'_> {
        Json(&self.0)
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(number) = Number::of(self.0) {
            return serialize_number(number, serializer);
        }
        match self.0 {
            Cbor::Bool(flag) => serializer.serialize_bool(*flag),
            Cbor::Text(text) => serializer.serialize_str(text),
            Cbor::Array(items) => serializer.collect_seq(items.iter().map(Json)),
            Cbor::Map(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (key_text(key), Json(value))))
            }
            Cbor::Bytes(bytes) => one_entry(serializer, "bytes", &hexadecimal(bytes)),
            Cbor::Tag(OPAQUE, said) => match said.as_map().and_then(|said| said.first()) {
                Some((_, what)) => one_entry(serializer, "not_read", &Json(what)),
                None => one_entry(serializer, "not_read", &Json(said)),
            },
            Cbor::Tag(_, inner) => Json(inner).serialize(serializer),
            _ => serializer.serialize_unit(),
        }
    }
}

fn serialize_number<S: Serializer>(number: Number, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Number::Integer(integer) => match (u64::try_from(integer), i64::try_from(integer)) {
            (Ok(unsigned), _) => serializer.serialize_u64(unsigned),
            (_, Ok(signed)) => serializer.serialize_i64(signed),
            _ => serializer.serialize_i128(integer),
        },
        Number::Large(integer) => serializer.serialize_u128(integer),
        Number::Float(float) => serialize_float(float, serializer),
    }
}

fn one_entry<S: Serializer>(serializer: S, key: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

/// A key of a map as a text.
fn key_text(key: &Cbor) -> String {
    match key {
        Cbor::Text(text) => text.clone(),
        other => Json(other).to_string(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: Cbor) -> String {
        Value(value).json().to_string()
    }

    #[test]
    fn numbers_that_json_lacks_are_texts_and_large_integers_are_exact() {
        let numbers = Value::of(&(f64::NAN, f64::INFINITY, f64::NEG_INFINITY, u128::MAX, i128::MIN, -1)).unwrap();
        let expected = r#"["NaN","Infinity","-Infinity",340282366920938463463374607431768211455,-170141183460469231731687303715884105728,-1]"#;
        assert_eq!(numbers.json().to_string(), expected);
    }

    #[test]
    fn bytes_other_keys_and_values_that_are_not_read_are_shown() {
        assert_eq!(json(Cbor::Bytes(vec![0, 255])), r#"{"bytes":"00ff"}"#);
        let map = Cbor::Map(vec![
            (Cbor::Integer(3.into()), Cbor::Null),
            (Cbor::Array(Vec::new()), Cbor::Bool(true)),
        ]);
        assert_eq!(json(map), r#"{"3":null,"[]":true}"#);
        assert_eq!(
            Value::opaque("numpy.ndarray").json().to_string(),
            r#"{"not_read":"numpy.ndarray"}"#
        );
        assert_eq!(Value::null().into_some().json().to_string(), "null");
    }

    #[test]
    fn a_tag_with_anything_inside_is_written() {
        for inner in [Cbor::Null, Cbor::Map(Vec::new()), Cbor::Text("x".into())] {
            assert!(json(Cbor::Tag(OPAQUE, Box::new(inner))).starts_with(r#"{"not_read":"#));
        }
    }
}
