//! Enums: the stored form of a variant that holds plain values, and the record of a variant that holds components.

use super::slot::ValueSlot;
use super::{Checkpoint, Sealed, Visitor, VisitorMut};
use crate::entry::VARIANT;
use crate::value::{Value, ValueError};

/// Shows an enum of plain values as one value.
pub fn value<'a, T: Checkpoint>(entries: &mut Visitor<'a>, value: &'a T) {
    entries.plain(value);
}

/// Shows the place of an enum of plain values. A load is refused if a variant holds a shared borrow.
pub fn place<'a, T: Checkpoint>(entries: &mut VisitorMut<'a>, place: &'a mut T) {
    entries.container(place, |_, _| ());
}

/// Checks the stored form of a struct without fields.
///
/// # Errors
/// If the value is not null.
pub fn nothing(value: &Value) -> Result<(), ValueError> {
    if value.is_null() {
        Ok(())
    } else {
        Err(ValueError::new(format!("expected nothing, found {}", value.describe())))
    }
}

/// Shows the variant that an enum of components holds at present.
pub fn holds(entries: &mut Visitor<'_>, name: &str) {
    entries.nested(VARIANT, |entries| entries.walk.push_value(Value::of(name)));
}

/// Shows the variant that an enum of components holds at present. A load refuses a file of another variant: `names` are
/// the variant's name and its aliases. A file that was saved before the field became an enum has no record, and the entries of
/// the variant decide; `has_fields` is false for a variant without entries, which only its record can show.
pub fn expects(entries: &mut VisitorMut<'_>, names: &'static [&'static str], has_fields: bool) {
    entries.walk.variant();
    entries.nested(VARIANT, |entries| {
        entries.walk.push_value(Box::new(HeldVariant { names, has_fields }));
    });
}

/// The variant that the state holds. A load changes no variant: it would have to make the contents of the other one.
struct HeldVariant {
    names: &'static [&'static str],
    has_fields: bool,
}

impl ValueSlot for HeldVariant {
    fn stage(&mut self, stored: &Value) -> Result<(), ValueError> {
        if self.fits(stored) {
            return Ok(());
        }
        Err(ValueError::new(format!(
            "expected the variant `{}`, which the state holds: a load changes no variant, so let the state hold the file's \
             variant before the load",
            self.names.first().unwrap_or(&"")
        )))
    }

    fn fits(&self, stored: &Value) -> bool {
        stored.0.as_text().is_some_and(|stored| self.names.contains(&stored))
    }

    fn record_of(&self) -> Option<bool> {
        Some(self.has_fields)
    }

    fn commit(&mut self) {}
}

/// A variant of plain values on its way into a file, in serde's form: a text if the variant has no contents, else a map with
/// the variant's name as its one key.
#[derive(Debug)]
pub struct VariantWriter {
    name: &'static str,
    /// The error of the first field that has no stored form.
    fields: Result<Vec<(&'static str, Value)>, ValueError>,
}

impl VariantWriter {
    /// A variant without contents.
    ///
    /// # Errors
    /// If there is no memory for the text.
    pub fn unit(name: &'static str) -> Result<Value, ValueError> {
        Value::of(name)
    }

    /// A variant with one unnamed field.
    ///
    /// # Errors
    /// If the field has no stored form.
    pub fn newtype(name: &'static str, contents: &impl Checkpoint) -> Result<Value, ValueError> {
        Ok(Value::one_of(name, contents.to_value(Sealed)?))
    }

    /// A variant with several fields.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            fields: Ok(Vec::new()),
        }
    }

    /// Adds a field; unnamed fields come in their order, with any key.
    #[must_use]
    pub fn field(mut self, key: &'static str, contents: &impl Checkpoint) -> Self {
        self.fields = self.fields.and_then(|mut fields| {
            fields.push((key, contents.to_value(Sealed)?));
            Ok(fields)
        });
        self
    }

    /// The stored form with named fields.
    ///
    /// # Errors
    /// If a field has no stored form.
    pub fn named(self) -> Result<Value, ValueError> {
        let mut fields = Vec::new();
        for (key, value) in self.fields? {
            fields.push((Value::of(key)?, value));
        }
        let fields = Value::map_of(fields).map_err(|_| ValueError::new("has one field twice"))?;
        Ok(Value::one_of(self.name, fields))
    }

    /// The stored form with unnamed fields.
    ///
    /// # Errors
    /// If a field has no stored form.
    pub fn unnamed(self) -> Result<Value, ValueError> {
        let items = self.fields?.into_iter().map(|(_, value)| value);
        Ok(Value::one_of(self.name, Value::list(items)))
    }
}

/// A variant of plain values as a file has it.
#[derive(Debug)]
pub struct VariantReader {
    name: String,
    contents: Option<Value>,
}

impl VariantReader {
    /// The variant of a stored value.
    ///
    /// # Errors
    /// If the value is neither a text nor a map of one entry.
    pub fn of(value: &Value) -> Result<Self, ValueError> {
        if let Some(name) = value.0.as_text() {
            return Ok(Self {
                name: name.to_owned(),
                contents: None,
            });
        }
        match value.as_map().map(<[_; 1]>::try_from) {
            Some(Ok([(name, contents)])) => Ok(Self {
                name,
                contents: Some(contents),
            }),
            _ => Err(ValueError::new(format!(
                "expected a variant, found {}",
                value.describe()
            ))),
        }
    }

    /// The name of the variant.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The error about a variant that the program does not have.
    #[must_use]
    pub fn unknown(&self, known: &[&str]) -> ValueError {
        let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        ValueError::new(format!(
            "expected one of the variants {}, found `{}`",
            known.join(", "),
            self.name
        ))
    }

    /// Checks that the variant has no contents.
    ///
    /// # Errors
    /// If it has contents.
    pub fn unit(&self) -> Result<(), ValueError> {
        match &self.contents {
            None => Ok(()),
            Some(contents) => Err(self.expected("no contents", contents)),
        }
    }

    /// The one unnamed field of the variant.
    ///
    /// # Errors
    /// If the variant has no contents, or contents of another type.
    pub fn newtype<T: Checkpoint>(&self) -> Result<T, ValueError> {
        T::from_value(self.contents()?, Sealed).map_err(|error| self.located("", error))
    }

    /// The unnamed fields of the variant, `count` of them.
    ///
    /// # Errors
    /// If the variant has another number of fields.
    pub fn unnamed(&self, count: usize) -> Result<VariantItems<'_>, ValueError> {
        let contents = self.contents()?;
        match contents.as_list() {
            Some(items) if items.len() == count => Ok(VariantItems { variant: self, items }),
            _ => Err(self.expected(&format!("a list of {count}"), contents)),
        }
    }

    /// The named fields of the variant. `known` are all keys and aliases of the fields.
    ///
    /// # Errors
    /// If the variant has a field that is not known.
    pub fn named(&self, known: &[&str]) -> Result<VariantFields<'_>, ValueError> {
        let contents = self.contents()?;
        let fields = contents
            .as_map()
            .ok_or_else(|| self.expected("named fields", contents))?;
        match fields.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(VariantFields { variant: self, fields }),
            Some((key, _)) => Err(ValueError::new(format!(
                "the variant `{}` in the file has the field `{key}`, which it does not have in the state",
                self.name
            ))),
        }
    }

    fn contents(&self) -> Result<&Value, ValueError> {
        let none = || ValueError::new(format!("expected contents of the variant `{}`, found none", self.name));
        self.contents.as_ref().ok_or_else(none)
    }

    fn expected(&self, expected: &str, found: &Value) -> ValueError {
        let found = found.describe();
        ValueError::new(format!(
            "expected {expected} in the variant `{}`, found {found}",
            self.name
        ))
    }

    fn located(&self, key: &str, error: ValueError) -> ValueError {
        let place = if key.is_empty() {
            self.name.clone()
        } else {
            format!("{}.{key}", self.name)
        };
        error.said(|what| format!("{place}: {what}"))
    }
}

/// The unnamed fields of a stored variant.
#[derive(Debug)]
pub struct VariantItems<'r> {
    variant: &'r VariantReader,
    items: Vec<Value>,
}

impl VariantItems<'_> {
    /// The field at an index.
    ///
    /// # Errors
    /// If there is none, or it is of another type.
    pub fn at<T: Checkpoint>(&self, at: usize) -> Result<T, ValueError> {
        let item = self
            .items
            .get(at)
            .ok_or_else(|| ValueError::new(format!("item {at} is missing")))?;
        T::from_value(item, Sealed).map_err(|error| self.variant.located(&at.to_string(), error))
    }
}

/// The named fields of a stored variant.
#[derive(Debug)]
pub struct VariantFields<'r> {
    variant: &'r VariantReader,
    fields: Vec<(String, Value)>,
}

impl VariantFields<'_> {
    /// The field with one of these names: its key, and the aliases.
    ///
    /// # Errors
    /// If no field or several fields have one of the names, or the field is of another type.
    pub fn field<T: Checkpoint>(&self, names: &[&str]) -> Result<T, ValueError> {
        let mut named = self.fields.iter().filter(|(key, _)| names.contains(&key.as_str()));
        let variant = &self.variant.name;
        match (named.next(), named.next()) {
            (Some((key, value)), None) => {
                T::from_value(value, Sealed).map_err(|error| self.variant.located(key, error))
            }
            (Some((one, _)), Some((other, _))) => Err(ValueError::new(format!(
                "the variant `{variant}` in the file has both `{one}` and `{other}`, which are one field"
            ))),
            (None, _) => T::when_absent(Sealed).ok_or_else(|| {
                let name = names.first().unwrap_or(&"");
                ValueError::new(format!("the variant `{variant}` in the file lacks the field `{name}`"))
            }),
        }
    }
}
