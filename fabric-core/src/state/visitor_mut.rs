//! The visitor that collects the places of a state for a load.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::both_visitors::both_directions;
use super::slot::{AnySlot, Slot, ValueSlot};
use super::walk::{Walk, Walked};
use super::{Checkpoint, FieldVisitorMut, Kind, OptimizerState};

/// The walk of a load, which collects places and mutable borrows of optimizers.
type SlotWalk<'a> = Walk<AnySlot<'a>, &'a mut dyn OptimizerState>;

/// Takes the places of a state for a load. [`Checkpoint::visit_mut`] calls its methods.
///
/// It has the methods of [`Visitor`](crate::Visitor), which take values and optimizers by `&mut`. Tensors are shared
/// borrows: a load writes their memory through the handle.
pub struct VisitorMut<'a> {
    pub(super) walk: SlotWalk<'a>,
}

both_directions!(VisitorMut, FieldVisitorMut);

impl<'a> VisitorMut<'a> {
    pub(crate) fn new() -> Self {
        Self { walk: Walk::new() }
    }

    pub(crate) fn finish(self) -> Walked<AnySlot<'a>, &'a mut dyn OptimizerState> {
        self.walk.finish()
    }

    /// Shows a plain value, which a load replaces as a whole; see [`Visitor::value`](crate::Visitor::value).
    pub fn value<T: Checkpoint>(&mut self, name: &str, place: &'a mut T) {
        self.field(name).value(place);
    }

    /// Shows a serde value, which a load replaces as a whole; see [`Visitor::metadata`](crate::Visitor::metadata).
    pub fn metadata<T: Serialize + DeserializeOwned>(&mut self, name: &str, place: &'a mut T) {
        self.field(name).metadata(place);
    }

    /// Shows an optimizer; see [`Visitor::optimizer`](crate::Visitor::optimizer).
    pub fn optimizer(&mut self, name: &str, optimizer: &'a mut dyn OptimizerState) {
        self.field(name).optimizer(optimizer);
    }

    /// Shows a part that implements [`Checkpoint`].
    pub fn component<T: Checkpoint + ?Sized>(&mut self, name: &str, part: &'a mut T) {
        self.field(name).component(part);
    }

    /// Shows the present level as one plain value.
    pub(crate) fn plain<T: Checkpoint>(&mut self, place: &'a mut T) {
        self.slot(Slot::plain(place));
    }

    /// Shows the present level as one serde value.
    pub(super) fn readable<T: Serialize + DeserializeOwned>(&mut self, place: &'a mut T) {
        self.slot(Slot::metadata(place));
    }

    /// Shows the present level as one value with a slot of its own.
    pub(super) fn slot(&mut self, slot: impl ValueSlot + 'a) {
        self.walk.push_value(Box::new(slot));
    }

    /// Shows the present level as an optimizer.
    pub(super) fn push_optimizer(&mut self, optimizer: &'a mut dyn OptimizerState) {
        self.walk.push_optimizer(optimizer.describe(), optimizer);
    }

    /// Shows a container: as one value if it holds plain values, else part by part.
    pub(super) fn container<T: Checkpoint>(&mut self, whole: &'a mut T, parts: impl FnOnce(&mut Self, &'a mut T)) {
        match T::KIND {
            Kind::Value => self.plain(whole),
            Kind::SharedValue => self.shared(),
            Kind::Entry | Kind::Nothing | Kind::Tensor | Kind::Component => parts(self, whole),
        }
    }

    /// Records that the present level is behind a shared borrow, so that the load is refused.
    pub(super) fn shared(&mut self) {
        self.walk.refuse_writing(
            "is behind a shared borrow, which cannot be written through; load into its owner, or into a view that borrows it as \
             `&mut`",
        );
    }

    /// Records that the present level is a borrowed text, whose length cannot change.
    pub(super) fn of_fixed_length(&mut self) {
        self.walk.refuse_writing(
            "is a borrowed text, which a load cannot replace by one of another length; load into its owner, or into a view that \
             borrows the owner as `&mut`",
        );
    }
}
