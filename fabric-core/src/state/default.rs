//! `#[checkpoint(default)]`: the value of a field that an older file lacks.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::slot::Slot;
use super::{Checkpoint, FieldVisitor, FieldVisitorMut, Kind, Metadata, Visitor, VisitorMut};

/// Shows a plain value to a save. `None` is stored as well: without an entry, a load would take the default for it.
pub fn stored<'a, T: Checkpoint>(entries: &mut Visitor<'a>, value: &'a T) {
    entries.plain(value);
}

/// Shows the place of a plain value, which takes the value of `default` if the file lacks it.
pub fn value<'a, T: Checkpoint>(entries: &mut VisitorMut<'a>, place: &'a mut T, default: fn() -> T) {
    const {
        assert!(
            T::KIND.is_value(),
            "`default` makes a plain value, and this type has entries of its own; write `optional`, and the entries stay as they are"
        );
    }
    if matches!(T::KIND, Kind::SharedValue) {
        return entries.shared();
    }
    entries.slot(Slot::plain(place).or(default));
}

/// Shows the place of a serde value, which takes the value of `default` if the file lacks it.
pub fn metadata<'a, T: Metadata>(entries: &mut VisitorMut<'a>, place: &'a mut T, default: fn() -> T) {
    place.visit_mut_or(entries, default);
}

impl<'a> FieldVisitor<'_, 'a> {
    /// Shows a plain value. A load takes the value of `default` if the file lacks it.
    pub fn value_or<T: Checkpoint>(mut self, value: &'a T, _default: fn() -> T) {
        self.attributes.default = true;
        self.show(|entries| stored(entries, value));
    }

    /// Shows a serde value. A load takes the value of `default` if the file lacks it.
    pub fn metadata_or<T: Serialize + DeserializeOwned>(mut self, value: &'a T, _default: fn() -> T) {
        self.attributes.default = true;
        self.metadata(value);
    }
}

impl<'a> FieldVisitorMut<'_, 'a> {
    /// Shows the place of a plain value, which takes the value of `default` if the file lacks it.
    pub fn value_or<T: Checkpoint>(mut self, place: &'a mut T, default: fn() -> T) {
        self.attributes.default = true;
        self.show(|entries| value(entries, place, default));
    }

    /// Shows the place of a serde value, which takes the value of `default` if the file lacks it.
    pub fn metadata_or<T: Serialize + DeserializeOwned>(mut self, place: &'a mut T, default: fn() -> T) {
        self.attributes.default = true;
        self.show(|entries| metadata(entries, place, default));
    }
}
