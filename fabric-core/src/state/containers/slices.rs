//! Slices, which a state borrows. A load keeps the length of a slice: it replaces all items or refuses the list.

use super::sequences::{items_of, stored_items};
use crate::state::{Checkpoint, Keys, Kind, Recorded, Sealed, TypeWalk, Types, ValueSlot, Visitor, VisitorMut};
use crate::value::{Value, ValueError};

impl<T: Checkpoint> Checkpoint for [T] {
    const KIND: Kind = Kind::Value.and(T::KIND);
    const KEYS: Keys = Keys::NUMBERS;
    const RECORDED: Recorded = Recorded::Never;

    fn may_differ(types: &mut Types) -> bool {
        T::may_differ(types)
    }

    fn structs(types: &mut TypeWalk<'_>) {
        types.items(|types| T::structs(types));
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.container(self, |entries, whole| {
            for (at, part) in whole.iter().enumerate() {
                entries.nested(&at.to_string(), |entries| part.visit_part(entries, Sealed));
            }
        });
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        match Self::KIND {
            Kind::Value => entries.slot(SliceSlot {
                places: self,
                staged: Vec::new(),
            }),
            Kind::SharedValue => entries.shared(),
            _ => {
                for (at, part) in self.iter_mut().enumerate() {
                    entries.nested(&at.to_string(), |entries| part.visit_part_mut(entries, Sealed));
                }
            }
        }
    }

    fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
        stored_items(self).map(Value::list)
    }
}

/// The items of a slice, which a load replaces by as many others.
struct SliceSlot<'a, T> {
    places: &'a mut [T],
    staged: Vec<T>,
}

impl<T: Checkpoint> SliceSlot<'_, T> {
    fn decoded(&self, stored: &Value) -> Result<Vec<T>, ValueError> {
        let items: Vec<T> = items_of(stored)?;
        let (expected, found) = (self.places.len(), items.len());
        if found == expected {
            Ok(items)
        } else {
            Err(ValueError::new(format!("expected {expected} items, found {found}")))
        }
    }
}

impl<T: Checkpoint> ValueSlot for SliceSlot<'_, T> {
    fn stage(&mut self, stored: &Value) -> Result<(), ValueError> {
        self.staged = self.decoded(stored)?;
        Ok(())
    }

    fn fits(&self, stored: &Value) -> bool {
        self.decoded(stored).is_ok()
    }

    fn commit(&mut self) {
        for (place, item) in self.places.iter_mut().zip(self.staged.drain(..)) {
            *place = item;
        }
    }
}
