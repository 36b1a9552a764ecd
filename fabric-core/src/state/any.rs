//! Trait objects for states: the code below the entry points is compiled once, and not for each type of state.

use super::{Checkpoint, Keys, Sealed, Types, Visitor, VisitorMut};

/// A state to save.
pub(crate) trait AnyState {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>);
}

/// A state to load into.
pub(crate) trait AnyStateMut {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>);

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>);

    /// The keys at the first level of the state.
    fn keys(&self) -> Keys;

    /// Returns true if `visit` and `visit_mut` may show different entries.
    fn may_differ(&self) -> bool;
}

/// A shared borrow of a state of the type `S`.
pub(crate) struct StateRef<'s, S: ?Sized>(pub(crate) &'s S);

/// A mutable borrow of a state of the type `S`.
pub(crate) struct StateMut<'s, S: ?Sized>(pub(crate) &'s mut S);

impl<S: Checkpoint + ?Sized> AnyState for StateRef<'_, S> {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        self.0.visit_part(entries, Sealed);
    }
}

impl<S: Checkpoint + ?Sized> AnyStateMut for StateMut<'_, S> {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        self.0.visit_part(entries, Sealed);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        self.0.visit_part_mut(entries, Sealed);
    }

    fn keys(&self) -> Keys {
        S::KEYS
    }

    fn may_differ(&self) -> bool {
        S::may_differ(&mut Types::default())
    }
}
