//! Values in a self-describing form.

use ciborium::Value as Cbor;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

/// Deeper nesting is refused on reading: no recursion without a bound.
const MAX_DEPTH: usize = 128;

/// The tag of what a file holds and this library does not read; see [`Value::opaque`]. From the range of tags that
/// anybody may use.
const OPAQUE: u64 = 0x6661_6272_6963;

/// A number, text, list, map or nothing, as a checkpoint holds it.
///
/// The form is CBOR (RFC 8949), which names its own types: a struct that gained a field with a default, renamed one
/// or turned a number into an enum still reads what was written before.
#[derive(Clone, PartialEq)]
pub struct Value(pub(crate) Cbor);

/// Why a value does not become the type that was asked for; the caller adds the entry's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

impl ValueError {
    /// An error that says `what`.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl Value {
    /// Nothing: what `None` is stored as inside a list.
    #[must_use]
    pub fn null() -> Self {
        Self(Cbor::Null)
    }

    /// A list of values.
    #[must_use]
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Self(Cbor::Array(items.into_iter().map(|item| item.0).collect()))
    }

    /// A map with text keys, stored in the order of its keys.
    #[must_use]
    pub fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (Cbor::Text(key), value.0));
        Self(sorted(Cbor::Map(entries.collect())))
    }

    /// The stored form of any serde type. Maps are stored in the order of their keys, so that equal values have equal
    /// bytes whatever order a `HashMap` chose.
    ///
    /// # Errors
    /// If the type's `Serialize` fails.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        Cbor::serialized(&value)
            .map(|value| Self(sorted(value)))
            .map_err(|error| ValueError(format!("cannot be stored: {}", reason(&error.to_string()))))
    }

    /// This value as the type `T`.
    ///
    /// # Errors
    /// If it is of another type; the message says what was found and what was expected.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        if let Some(what) = self.as_opaque() {
            return Err(ValueError(format!("is not read: {what}")));
        }
        let located: Located<T> = self
            .0
            .deserialized()
            .map_err(|error| ValueError(reason(&error.to_string())))?;
        Ok(located.0)
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<Vec<Value>> {
        let items = self.0.as_array()?;
        Some(items.iter().cloned().map(Value).collect())
    }

    /// The entries, if this is a map whose keys are texts.
    #[must_use]
    pub fn as_map(&self) -> Option<Vec<(String, Value)>> {
        let entries = self.0.as_map()?;
        entries
            .iter()
            .map(|(key, value)| Some((key.as_text()?.to_owned(), Value(value.clone()))))
            .collect()
    }

    /// The entries, if this is a map whose keys can be parts of a name: texts and integers.
    pub(crate) fn as_map_entries(&self) -> Option<Vec<(String, Value)>> {
        let named = |(key, value): &(Cbor, Cbor)| {
            let key = match key {
                Cbor::Text(text) if !text.is_empty() => text.clone(),
                Cbor::Integer(number) => i128::from(*number).to_string(),
                _ => return None,
            };
            Some((key, Value(value.clone())))
        };
        self.0.as_map()?.iter().map(named).collect()
    }

    /// Whether this is nothing at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Whether this is nothing, or a map of nothings.
    pub(crate) fn holds_nothing(&self) -> bool {
        fn nothing(value: &Cbor) -> bool {
            match value {
                Cbor::Null => true,
                Cbor::Map(entries) => entries.iter().all(|(_, value)| nothing(value)),
                _ => false,
            }
        }
        nothing(&self.0)
    }

    /// A leaf for something that is not read, and that says what it is. Decodes into nothing by itself; inside of a
    /// list or a map it looks like a map that no type expects.
    pub(crate) fn opaque(what: &str) -> Self {
        let said = Cbor::Map(vec![(Cbor::Text("not read".to_owned()), Cbor::Text(what.to_owned()))]);
        Self(Cbor::Tag(OPAQUE, Box::new(said)))
    }

    /// What this leaf says it is, if it is not read.
    pub(crate) fn as_opaque(&self) -> Option<&str> {
        let Cbor::Tag(OPAQUE, said) = &self.0 else {
            return None;
        };
        said.as_map()?.first()?.1.as_text()
    }

    /// A map with keys of any kind, stored in the order of its keys; `None` if a key is there twice.
    pub(crate) fn map_of(entries: Vec<(Value, Value)>) -> Option<Self> {
        let mut entries: Vec<_> = entries.into_iter().map(|(key, value)| (key.0, value.0)).collect();
        entries.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let twice = entries.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!twice).then_some(Self(Cbor::Map(entries)))
    }

    /// What this is, in a few words: `text "x"`, `a list of 3`.
    pub(crate) fn describe(&self) -> String {
        if let Some(what) = self.as_opaque() {
            return format!("something that is not read ({what})");
        }
        match &self.0 {
            Cbor::Integer(number) => format!("integer {}", i128::from(*number)),
            Cbor::Float(number) => format!("float {number:?}"),
            Cbor::Bool(flag) => format!("{flag}"),
            Cbor::Text(text) if text.len() <= 40 => format!("text {text:?}"),
            Cbor::Text(text) => format!("a text of {} bytes", text.len()),
            Cbor::Bytes(bytes) => format!("{} raw bytes", bytes.len()),
            Cbor::Array(items) => format!("a list of {}", items.len()),
            Cbor::Map(entries) => format!("a map of {}", entries.len()),
            Cbor::Null => "nothing".to_owned(),
            _ => "a tagged value".to_owned(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, ValueError> {
        if deeper_than(&self.0, MAX_DEPTH - 1) {
            // What could not be read back must not be written.
            return Err(ValueError(format!("is nested more than {MAX_DEPTH} levels deep")));
        }
        let mut bytes = Vec::new();
        ciborium::into_writer(&self.0, &mut bytes).map_err(|error| ValueError(error.to_string()))?;
        Ok(bytes)
    }

    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Result<Self, ValueError> {
        let value = ciborium::de::from_reader_with_recursion_limit(&mut bytes, MAX_DEPTH)
            .map_err(|error| ValueError(format!("is not valid CBOR: {error}")))?;
        if bytes.is_empty() {
            Ok(Self(value))
        } else {
            Err(ValueError(format!("is followed by {} stray bytes", bytes.len())))
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A value whose decoding errors say where inside it they are.
struct Located<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_path_to_error::deserialize(deserializer)
            .map(Self)
            .map_err(|error| {
                let place = error.path().to_string();
                let what = reason(&error.inner().to_string());
                D::Error::custom(if place == "." { what } else { format!("{place}: {what}") })
            })
    }
}

/// Serde's own sentence: the library prints it as a literal inside its own type.
fn reason(message: &str) -> String {
    let Some(literal) = message
        .strip_prefix("Custom(\"")
        .and_then(|message| message.strip_suffix("\")"))
    else {
        return message.to_owned();
    };
    let mut sentence = String::with_capacity(literal.len());
    let mut characters = literal.chars();
    while let Some(c) = characters.next() {
        sentence.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    sentence
}

/// Whether lists and maps stand more than `levels` inside each other.
fn deeper_than(value: &Cbor, levels: usize) -> bool {
    let inside = |inner: &Cbor| levels == 0 || deeper_than(inner, levels - 1);
    match value {
        Cbor::Array(items) => levels == 0 || items.iter().any(inside),
        Cbor::Map(entries) => levels == 0 || entries.iter().any(|(key, value)| inside(key) || inside(value)),
        Cbor::Tag(_, inner) => inside(inner),
        _ => false,
    }
}

fn sorted(value: Cbor) -> Cbor {
    match value {
        Cbor::Array(items) => Cbor::Array(items.into_iter().map(sorted).collect()),
        Cbor::Map(entries) => {
            let mut entries: Vec<_> = entries.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            entries.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
            Cbor::Map(entries)
        }
        Cbor::Tag(tag, inner) => Cbor::Tag(tag, Box::new(sorted(*inner))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_error_says_where_inside_the_value_it_is_and_what_it_found() {
        let value = Value::of(&BTreeMap::from([("lr", vec!["fast"])])).unwrap();
        let error = value.decode::<BTreeMap<String, Vec<f64>>>().unwrap_err();
        assert_eq!(error.to_string(), "lr[0]: invalid type: string \"fast\", expected f64");
        let error = Value::of("x").unwrap().decode::<u64>().unwrap_err();
        assert!(
            error.to_string().starts_with("invalid type: string \"x\", expected "),
            "{error}"
        );
    }

    #[test]
    fn bytes_come_back_as_the_value_and_nothing_may_follow() {
        let value = Value::map([("b".into(), Value::of(&f64::NAN).unwrap()), ("a".into(), Value::null())]);
        let mut bytes = value.to_bytes().unwrap();
        assert_eq!(Value::from_bytes(&bytes).unwrap().to_bytes().unwrap(), bytes);
        bytes.push(0);
        assert!(Value::from_bytes(&bytes).is_err());
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let deep = vec![0x81; 100_000];
        assert!(Value::from_bytes(&deep).is_err());
    }
}
