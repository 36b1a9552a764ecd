//! Places in a state that take a value from a file: decoded first, assigned when everything else fits.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Checkpoint, Sealed};
use crate::value::{Value, ValueError};

/// A place in a state whose value can be replaced, in two steps: no place changes before all values are known to fit.
pub(crate) trait ValueSlot {
    /// Decodes `stored` and keeps the result beside the place.
    fn stage(&mut self, stored: &Value) -> Result<(), ValueError>;

    /// Whether the place could take `stored`. A load asks this before it proposes to take the value under another name.
    fn fits(&self, stored: &Value) -> bool {
        let _ = stored;
        true
    }

    /// Whether the type has a value that is stored as no entry at all: `None`.
    fn absence_is_a_value(&self) -> bool {
        false
    }

    /// Keeps the value that absence stands for.
    fn stage_absent(&mut self) {}

    /// Assigns what was staged; nothing if nothing was.
    fn commit(&mut self);
}

/// A place of any type.
pub(crate) type Place<'a> = Box<dyn ValueSlot + 'a>;

/// A place of type `T`, with the way in which `T` comes from a file.
pub(crate) struct Slot<'a, T> {
    place: &'a mut T,
    staged: Option<T>,
    decode: fn(&Value) -> Result<T, ValueError>,
    absent: fn() -> Option<T>,
}

impl<'a, T: Checkpoint> Slot<'a, T> {
    /// A plain value.
    pub(crate) fn plain(place: &'a mut T) -> Self {
        Self {
            place,
            staged: None,
            decode: |stored| T::from_value(stored, Sealed),
            absent: || T::when_absent(Sealed),
        }
    }
}

impl<'a, T: DeserializeOwned + Serialize> Slot<'a, T> {
    /// A serde value, which is compared with what was read.
    pub(crate) fn metadata(place: &'a mut T) -> Self {
        Self {
            place,
            staged: None,
            decode: Value::decode_exactly,
            absent: || None,
        }
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

    fn stage_absent(&mut self) {
        self.staged = (self.absent)();
    }

    fn commit(&mut self) {
        if let Some(value) = self.staged.take() {
            *self.place = value;
        }
    }
}
