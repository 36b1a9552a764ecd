//! Places in a state that take a value from a file: decoded first, assigned when everything else fits.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Checkpoint;
use crate::value::{Value, ValueError};

/// A place in a state whose value can be replaced, in two steps: no place changes before all values are known to fit.
pub trait ValueSlot {
    /// Decodes `stored` and keeps the result beside the place.
    ///
    /// # Errors
    /// If the value is of another type than the place.
    fn stage(&mut self, stored: &Value) -> Result<(), ValueError>;

    /// Whether the type has a value that is stored as no entry at all: `None`.
    fn absence_is_a_value(&self) -> bool {
        false
    }

    /// Keeps the value that absence stands for.
    fn stage_absent(&mut self) {}

    /// Assigns what was staged; nothing if nothing was.
    fn commit(&mut self);
}

/// A plain value in a state.
pub(crate) struct PlainSlot<'a, T> {
    place: &'a mut T,
    staged: Option<T>,
}

impl<'a, T> PlainSlot<'a, T> {
    pub(crate) fn new(place: &'a mut T) -> Self {
        Self { place, staged: None }
    }
}

impl<T: Checkpoint> ValueSlot for PlainSlot<'_, T> {
    fn stage(&mut self, stored: &Value) -> Result<(), ValueError> {
        self.staged = Some(T::from_value(stored)?);
        Ok(())
    }

    fn absence_is_a_value(&self) -> bool {
        T::when_absent().is_some()
    }

    fn stage_absent(&mut self) {
        self.staged = T::when_absent();
    }

    fn commit(&mut self) {
        if let Some(value) = self.staged.take() {
            *self.place = value;
        }
    }
}

/// A serde value in a state: what `#[checkpoint(metadata)]` declares.
#[derive(Debug)]
pub struct MetadataSlot<'a, T> {
    place: &'a mut T,
    staged: Option<T>,
}

impl<'a, T: Serialize + DeserializeOwned> MetadataSlot<'a, T> {
    /// A slot that replaces `place`.
    pub fn new(place: &'a mut T) -> Self {
        Self { place, staged: None }
    }
}

impl<T: DeserializeOwned> ValueSlot for MetadataSlot<'_, T> {
    fn stage(&mut self, stored: &Value) -> Result<(), ValueError> {
        self.staged = Some(stored.decode()?);
        Ok(())
    }

    fn commit(&mut self) {
        if let Some(value) = self.staged.take() {
            *self.place = value;
        }
    }
}
