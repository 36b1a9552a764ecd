//! Values in a self-describing form.

mod error;
mod json;
pub(crate) mod memory;
mod number;
mod order;
mod reader;
mod same;
mod writer;

use ciborium::Value as Cbor;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::error::ValueError;
use self::error::located;
pub use self::json::Json;
use self::number::Number;
use self::order::{order, sorted};
use self::reader::{ReadState, ValueReader};
pub(crate) use self::same::is_same;
use self::writer::ValueWriter;
pub(crate) use self::writer::add;
use crate::hash::HashSet;
use crate::io::pages::Growing;

/// The deepest nesting: recursion is bounded.
const MAX_DEPTH: usize = 128;

/// The tag of a value that this library does not read; see [`Value::opaque`]. CBOR leaves this range of tags to
/// applications.
const OPAQUE: u64 = 0x6661_6272_6963;

/// The tag of `Some(None)`, which would be read as `None` without it.
pub(crate) const SOME: u64 = OPAQUE + 1;

/// The text of the first placeholder in a value. The nesting of values is bounded, and so is the recursion.
pub(crate) fn not_read(value: &Cbor) -> Option<&str> {
    match value {
        Cbor::Tag(OPAQUE, said) => Some(said.as_map().and_then(|said| said.first()?.1.as_text()).unwrap_or("")),
        Cbor::Tag(_, inner) => not_read(inner),
        Cbor::Array(items) => items.iter().find_map(not_read),
        Cbor::Map(entries) => entries
            .iter()
            .find_map(|(key, value)| not_read(key).or_else(|| not_read(value))),
        _ => None,
    }
}

/// A number, a text, a list, a map or null, as a checkpoint holds it.
///
/// The form is CBOR (RFC 8949), which names its own types: a struct that gained a field with a default, renamed one or
/// turned a number into an enum still reads older checkpoints.
#[derive(Clone, PartialEq)]
pub struct Value(pub(crate) Cbor);

impl Value {
    /// Null, the stored form of `None` inside a list.
    #[must_use]
    pub fn null() -> Self {
        Self(Cbor::Null)
    }

    /// The stored form of `Some` of this value.
    pub(crate) fn into_some(self) -> Self {
        Self(some(self.0))
    }

    /// The value inside, if this is the stored form of a `Some` around a `None`.
    pub(crate) fn as_some(&self) -> Option<Self> {
        match &self.0 {
            Cbor::Tag(SOME, inner) => Some(Self((**inner).clone())),
            _ => None,
        }
    }

    /// A list of values.
    #[must_use]
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Self(Cbor::Array(items.into_iter().map(|item| item.0).collect()))
    }

    /// A list of values, stored in the order of the values.
    pub(crate) fn sorted_list(mut items: Vec<Value>) -> Self {
        items.sort_unstable_by(|a, b| order(&a.0, &b.0));
        Self::list(items)
    }

    /// A map with text keys, stored in the order of its keys.
    #[must_use]
    pub fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (Cbor::Text(key), value.0));
        Self(sorted(Cbor::Map(entries.collect())))
    }

    /// A map of one entry, whose contents keep their order: the variant of an enum.
    pub(crate) fn one_of(key: &str, contents: Self) -> Self {
        Self(Cbor::Map(vec![(Cbor::Text(key.to_owned()), contents.0)]))
    }

    /// The stored form of any serde type. Maps are stored in the order of their keys, so that equal values have equal
    /// bytes whatever order a `HashMap` chose.
    ///
    /// # Errors
    /// If the type's `Serialize` fails.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        let value = value.serialize(ValueWriter::new());
        value
            .map(|value| Self(sorted(value)))
            .map_err(|error| error.said(|what| format!("cannot be stored: {what}")))
    }

    /// This value as the type `T`.
    ///
    /// An integer becomes a float that holds it exactly, and a float without a fraction becomes an integer; a float is
    /// rounded to the precision of the type, and refused if it is out of its range. Inside serde's `flatten` and
    /// `untagged`, a type takes any number, and may round an integer.
    ///
    /// # Errors
    /// If the value is of another type; the message has the found and the expected type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        if let Some(what) = self.as_opaque() {
            return Err(ValueError::unreadable(what));
        }
        self.read().map(|(value, _)| value)
    }

    /// This value as the type `T`, if `T` holds every number exactly.
    pub(crate) fn decode_exactly<T: DeserializeOwned + Serialize>(&self) -> Result<T, ValueError> {
        let (value, at_risk) = self.read::<T>()?;
        if at_risk.is_empty() {
            return Ok(value);
        }
        // A number that `T` does not hold, while it holds the rounded number.
        let kept: HashSet<_> = Self::of(&value)?.numbers().into_iter().map(Number::key).collect();
        let has = |number: Number| kept.contains(&number.key());
        let is_lost = |number: &Number| {
            let mut losses = number.losses().into_iter().flatten();
            !has(*number) && losses.any(|loss| has(Number::Float(loss)))
        };
        match at_risk.into_iter().find(is_lost) {
            None => Ok(value),
            Some(number) => Err(ValueError::new(format!(
                "invalid type: {}, expected a number that its field holds exactly",
                number.unexpected()
            ))),
        }
    }

    /// Decodes a value, and returns the numbers that a type may have rounded.
    fn read<T: DeserializeOwned>(&self) -> Result<(T, Vec<Number>), ValueError> {
        let read = |whole_as_integers| {
            let reading = ReadState {
                whole_as_integers,
                ..ReadState::default()
            };
            let value = serde_path_to_error::deserialize(ValueReader {
                value: &self.0,
                reading: &reading,
            });
            (value.map_err(located), reading)
        };
        let (value, reading) = match read(false) {
            (Err(error), reading) if reading.has_shown_whole.get() => {
                let (value, reading) = read(true);
                (value.map_err(|_| error), reading)
            }
            read => read,
        };
        value.map(|value| (value, reading.at_risk.into_inner()))
    }

    /// All numbers in this value.
    fn numbers(&self) -> Vec<Number> {
        fn collect(value: &Cbor, numbers: &mut Vec<Number>) {
            match (Number::of(value), value) {
                (Some(number), _) => numbers.push(number),
                (_, Cbor::Array(items)) => items.iter().for_each(|item| collect(item, numbers)),
                (_, Cbor::Map(entries)) => entries.iter().for_each(|(key, value)| {
                    collect(key, numbers);
                    collect(value, numbers);
                }),
                (_, Cbor::Tag(_, inner)) => collect(inner, numbers),
                _ => {}
            }
        }
        let mut numbers = Vec::new();
        collect(&self.0, &mut numbers);
        numbers
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
        let named = |(key, value): &(Cbor, Cbor)| Some((name_of_key(key)?, Value(value.clone())));
        self.0.as_map()?.iter().map(named).collect()
    }

    /// The entries, if this is a map whose keys are texts, integers or `bool`, each key as a text.
    pub(crate) fn as_keyed(&self) -> Option<Vec<(String, Value)>> {
        let keyed = |(key, value): &(Cbor, Cbor)| Some((text_of_key(key)?, Value(value.clone())));
        self.0.as_map()?.iter().map(keyed).collect()
    }

    /// The number, if this is a float.
    pub(crate) fn as_float(&self) -> Option<f64> {
        self.0.as_float()
    }

    /// Returns true for null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Returns true for null, and for a map with null under every key.
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

    /// A placeholder for a value that this library does not read, with a text about it. By itself it decodes into no
    /// type; inside a list or a map it looks like a map that no type expects.
    pub(crate) fn opaque(what: &str) -> Self {
        let said = Cbor::Map(vec![(Cbor::Text("not read".to_owned()), Cbor::Text(what.to_owned()))]);
        Self(Cbor::Tag(OPAQUE, Box::new(said)))
    }

    /// The text of a placeholder for a value that this library does not read.
    pub(crate) fn as_opaque(&self) -> Option<&str> {
        let Cbor::Tag(OPAQUE, said) = &self.0 else {
            return None;
        };
        said.as_map()?.first()?.1.as_text()
    }

    /// The text of the first placeholder in a value, for a value that this library does not read.
    pub(crate) fn not_read(&self) -> Option<&str> {
        not_read(&self.0)
    }

    /// A map with keys of any kind, stored in the order of its keys.
    ///
    /// # Errors
    /// A key that is there twice.
    pub(crate) fn map_of(entries: Vec<(Value, Value)>) -> Result<Self, Value> {
        let mut entries: Vec<_> = entries.into_iter().map(|(key, value)| (key.0, value.0)).collect();
        entries.sort_unstable_by(|(a, _), (b, _)| order(a, b));
        match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(Value(pair[0].0.clone())),
            None => Ok(Self(Cbor::Map(entries))),
        }
    }

    /// A map with keys of any kind, stored in the order of `entries`.
    ///
    /// # Errors
    /// A key that is there twice.
    #[cfg(feature = "indexmap")]
    pub(crate) fn map_in_order(entries: Vec<(Value, Value)>) -> Result<Self, Value> {
        let mut keys: Vec<&Cbor> = entries.iter().map(|(key, _)| &key.0).collect();
        keys.sort_unstable_by(|a, b| order(a, b));
        if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Value(pair[0].clone()));
        }
        let entries = entries.into_iter().map(|(key, value)| (key.0, value.0));
        Ok(Self(Cbor::Map(entries.collect())))
    }

    /// A short description: `text "x"`, `a list of 3`.
    pub(crate) fn describe(&self) -> String {
        if let Some(what) = self.as_opaque() {
            return format!("a value that this library does not read ({what})");
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
            // A value that cannot be read back must not be written.
            return Err(ValueError::new(format!(
                "is nested more than {MAX_DEPTH} levels deep; flatten it"
            )));
        }
        let mut bytes = Growing::default();
        ciborium::into_writer(&self.0, &mut bytes).map_err(|error| match error {
            ciborium::ser::Error::Io(error) => ValueError::no_memory(error),
            error @ ciborium::ser::Error::Value(_) => ValueError::new(error.to_string()),
        })?;
        Ok(bytes.0)
    }

    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Result<Self, ValueError> {
        memory::look_for_encoded(bytes).map_err(ValueError::no_memory)?;
        let value = ciborium::de::from_reader_with_recursion_limit(&mut bytes, MAX_DEPTH)
            .map_err(|error| ValueError::new(format!("is not valid CBOR: {error}")))?;
        if bytes.is_empty() {
            Ok(Self(value))
        } else {
            Err(ValueError::new(format!("is followed by {} stray bytes", bytes.len())))
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The key of a map as a part of a name, if it can be one.
pub(crate) fn name_of_key(key: &Cbor) -> Option<String> {
    match key {
        Cbor::Text(text) if !text.is_empty() => Some(text.clone()),
        Cbor::Integer(number) => Some(i128::from(*number).to_string()),
        _ => None,
    }
}

/// The key of a map as a text. In a value it may also be empty, or a `bool`.
fn text_of_key(key: &Cbor) -> Option<String> {
    match (Number::of(key), key) {
        (Some(Number::Integer(number)), _) => Some(number.to_string()),
        (Some(Number::Large(number)), _) => Some(number.to_string()),
        (None, Cbor::Text(text)) => Some(text.clone()),
        (None, Cbor::Bool(flag)) => Some(flag.to_string()),
        _ => None,
    }
}

/// The stored form of `Some`: the value itself, unless it would be read as `None`.
fn some(value: Cbor) -> Cbor {
    match value {
        Cbor::Null | Cbor::Tag(SOME, _) => Cbor::Tag(SOME, Box::new(value)),
        value => value,
    }
}

/// Returns true if lists and maps are nested more than `levels` deep.
fn deeper_than(value: &Cbor, levels: usize) -> bool {
    let inside = |inner: &Cbor| levels == 0 || deeper_than(inner, levels - 1);
    match value {
        Cbor::Array(items) => levels == 0 || items.iter().any(inside),
        Cbor::Map(entries) => levels == 0 || entries.iter().any(|(key, value)| inside(key) || inside(value)),
        Cbor::Tag(_, inner) => inside(inner),
        _ => false,
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
