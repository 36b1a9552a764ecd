//! The handle of a save in the background.

use std::fmt;
use std::sync::Arc;

use super::flight::Flight;
use crate::error::{Error, Result};
use crate::save::SaveReport;

/// A save on its way, from [`Fabric::save_async`](crate::Fabric::save_async).
///
/// Dropping it waits for the end, as [`wait`](Self::wait) does; [`detach`](Self::detach) does not. An error is logged when
/// it happens, through `tracing`. If nobody waits for it, [`Fabric::wait`](crate::Fabric::wait) or the next save of the same
/// Fabric returns it. It is printed to standard error when a `Saving` is dropped without `wait`, and when the last handle of the
/// Fabric is dropped and no call has returned it, unless a subscriber of `tracing` was told when it happened.
#[must_use = "dropping it waits for the save; keep it and wait() later, or detach() it"]
pub struct Saving {
    /// None if nothing is saved.
    flight: Option<Arc<Flight>>,
}

impl Saving {
    pub(crate) fn new(flight: Arc<Flight>) -> Self {
        Self { flight: Some(flight) }
    }

    pub(crate) fn skipped() -> Self {
        Self { flight: None }
    }

    /// Waits until the checkpoint is complete, and durable if that was asked for.
    ///
    /// # Errors
    /// Why it was not saved: as [`Fabric::save`](crate::Fabric::save), [`Error::Panicked`], and [`Error::Background`]
    /// if a later call has returned the error already. What was at the path before is still there. [`Error::Nested`] within a
    /// callback of the same Fabric, which the save would wait for; the save goes on then.
    ///
    /// [`Error::Nested`]: crate::Error::Nested
    /// [`Error::Panicked`]: crate::Error::Panicked
    /// [`Error::Background`]: crate::Error::Background
    pub fn wait(mut self) -> Result<SaveReport> {
        match self.flight.take() {
            Some(flight) if flight.is_waited_for_here() => Err(Error::Nested { call: "Saving::wait" }),
            Some(flight) => flight.outcome(),
            None => Ok(SaveReport {
                skipped: true,
                ..SaveReport::default()
            }),
        }
    }

    /// Lets the save go on by itself. The Fabric finishes it: its next call that saves, loads or opens waits for it, and so
    /// do [`Fabric::wait`](crate::Fabric::wait) and the drop of the last of its clones.
    pub fn detach(mut self) {
        self.flight = None;
    }

    /// Whether nothing is saved, because an earlier save was on its way and the call asked for
    /// [`WhenBusy::Skip`](crate::WhenBusy::Skip).
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        self.flight.is_none()
    }

    /// Whether the save has ended, well or not, so that waiting for it takes no time.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.flight.as_ref().is_none_or(|flight| flight.writing().is_finished())
    }

    /// The bytes of tensors that this rank has written so far.
    #[must_use]
    pub fn bytes_done(&self) -> u64 {
        self.flight.as_ref().map_or(0, |flight| flight.writing().meter().done())
    }

    /// The bytes of tensors that this rank writes in all.
    #[must_use]
    pub fn bytes_in_all(&self) -> u64 {
        self.flight
            .as_ref()
            .map_or(0, |flight| flight.writing().meter().total())
    }

    /// The entry that is being written; `None` before the first and after the end.
    #[must_use]
    pub fn entry(&self) -> Option<&str> {
        self.flight.as_ref()?.writing().entry()
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if let Some(flight) = &self.flight
            && !flight.is_waited_for_here()
        {
            flight.give_up();
        }
    }
}

impl fmt::Debug for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saving")
            .field("path", &self.flight.as_ref().map(|flight| flight.path()))
            .field("bytes_done", &self.bytes_done())
            .field("bytes_in_all", &self.bytes_in_all())
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
