//! A test of hand-written implementations of [`Checkpoint`].

use crate::state::{Checkpoint, StateMut, both_ways};

/// Asserts that [`visit`](Checkpoint::visit) and [`visit_mut`](Checkpoint::visit_mut) of a state show the same entries: equal
/// names and attributes in equal order, tensors of the same memory.
///
/// ```
/// use fabric_core::testing::assert_symmetric;
/// use fabric_core::{Checkpoint, Visitor, VisitorMut};
///
/// struct Epoch(u64);
///
/// impl Checkpoint for Epoch {
///     fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
///         entries.value("epoch", &self.0);
///     }
///     fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
///         entries.value("epoch", &mut self.0);
///     }
/// }
///
/// assert_symmetric(&mut Epoch(7));
/// ```
///
/// # Panics
/// If they differ, with the first entry that does; if the state holds a shared borrow, which no load can write through.
#[track_caller]
pub fn assert_symmetric<S: Checkpoint + ?Sized>(state: &mut S) {
    let mut state = StateMut(state);
    if let Err(error) = both_ways::compared(&mut state) {
        panic!("{error}");
    }
}
