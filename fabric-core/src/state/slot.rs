//! Places in a state that take a value from a file. A load decodes all values first, and assigns them if everything
//! fits.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Checkpoint, Sealed};
use crate::value::{Value, ValueError};

/// A place in a state whose value a load replaces in two steps, so that no place changes before all values are known to
/// fit.
pub(crate) trait ValueSlot {
    /// Decodes `stored` and keeps the result beside the place.
    fn stage(&mut self, stored: &Value) -> Result<(), ValueError>;

    /// Returns true if the place can take `stored`. A load asks this before it suggests to rename the value.
    fn fits(&self, stored: &Value) -> bool {
        let _ = stored;
        true
    }

    /// Returns true if the place has a value without an entry in a file: `None`.
    fn absence_is_a_value(&self) -> bool {
        false
    }

    /// Returns true if the field has a default, which it takes from every file without an entry.
    fn has_default(&self) -> bool {
        false
    }

    /// For the record of a variant: true if the variant has entries beside it. `None` for all other places.
    fn record_of(&self) -> Option<bool> {
        None
    }

    /// Stages the value that a missing entry means.
    fn stage_absent(&mut self) {}

    /// Assigns the staged value, if any.
    fn commit(&mut self);
}

/// A place of any type.
pub(crate) type AnySlot<'a> = Box<dyn ValueSlot + 'a>;

/// A place of type `T`, with the functions that decode `T`.
pub(crate) struct Slot<'a, T> {
    place: &'a mut T,
    staged: Option<T>,
    decode: fn(&Value) -> Result<T, ValueError>,
    absent: fn() -> Option<T>,
    /// Makes the value of a field that the file lacks.
    default: Option<fn() -> T>,
}

impl<'a, T: Checkpoint> Slot<'a, T> {
    /// A slot for a plain value.
    pub(crate) fn plain(place: &'a mut T) -> Self {
        Self {
            place,
            staged: None,
            decode: |stored| T::from_value(stored, Sealed),
            absent: || T::when_absent(Sealed),
            default: None,
        }
    }
}

impl<'a, T: DeserializeOwned + Serialize> Slot<'a, T> {
    /// A slot for a serde value. Its decoded form is encoded again and compared with the stored form.
    pub(crate) fn metadata(place: &'a mut T) -> Self {
        Self {
            place,
            staged: None,
            decode: Value::decode_exactly,
            absent: || None,
            default: None,
        }
    }
}

impl<T> Slot<'_, T> {
    /// The slot, whose place takes the value of `default` if the file lacks an entry.
    pub(crate) fn or(mut self, default: fn() -> T) -> Self {
        self.default = Some(default);
        self
    }
}

impl<T> ValueSlot for Slot<'_, T> {
    fn stage(&mut self, stored: &Value) -> Result<(), ValueError> {
        self.staged = Some((self.decode)(stored)?);
        Ok(())
    }

    fn fits(&self, stored: &Value) -> bool {
        (self.decode)(stored).is_ok()
    }

    fn absence_is_a_value(&self) -> bool {
        (self.absent)().is_some()
    }

    fn has_default(&self) -> bool {
        self.default.is_some()
    }

    fn stage_absent(&mut self) {
        self.staged = match self.default {
            Some(default) => Some(default()),
            None => (self.absent)(),
        };
    }

    fn commit(&mut self) {
        if let Some(value) = self.staged.take() {
            *self.place = value;
        }
    }
}
