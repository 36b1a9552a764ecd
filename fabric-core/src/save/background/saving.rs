//! The handle of a save in the background.

use std::fmt;
use std::sync::Arc;

use super::in_flight::InFlightSave;
use crate::error::{Error, Result};
use crate::save::SaveReport;

/// A save on its way, returned by [`Fabric::save_async`](crate::Fabric::save_async).
///
/// Dropping a `Saving` waits for the end of the save, as [`wait`](Self::wait) does; [`detach`](Self::detach) does not
/// wait. An error is logged through `tracing` when it happens. If `wait` is not called,
/// [`Fabric::wait`](crate::Fabric::wait) or the next save of the same Fabric returns the error. The error is printed to
/// standard error when a `Saving` is dropped without `wait`, or when the last handle of the Fabric is dropped and no
/// call has returned it, unless a subscriber of `tracing` has received it.
#[must_use = "dropping it waits for the save; keep it and wait() later, or detach() it"]
pub struct Saving {
    /// `None` for a skipped save.
    in_flight: Option<Arc<InFlightSave>>,
}

impl Saving {
    pub(super) fn new(in_flight: Arc<InFlightSave>) -> Self {
        Self {
            in_flight: Some(in_flight),
        }
    }

    pub(super) fn skipped() -> Self {
        Self { in_flight: None }
    }

    /// Waits until the checkpoint is complete, and durable with [`Durability::Durable`](crate::Durability::Durable).
    ///
    /// # Errors
    /// The errors of [`Fabric::save`](crate::Fabric::save); [`Error::Panicked`](crate::Error::Panicked); and
    /// [`Error::Background`](crate::Error::Background) if a later call has returned the error already. The old
    /// checkpoint at the path is unchanged then. [`Error::Nested`](crate::Error::Nested) within a callback of the same
    /// Fabric, which the save would wait for; the save goes on then.
    pub fn wait(mut self) -> Result<SaveReport> {
        match self.in_flight.take() {
            Some(in_flight) if in_flight.would_wait_for_itself() => Err(Error::Nested { call: "Saving::wait" }),
            Some(in_flight) => in_flight.outcome(),
            None => Ok(SaveReport {
                skipped: true,
                ..SaveReport::default()
            }),
        }
    }

    /// Detaches the save: it goes on without this handle. The next call of the Fabric that saves, loads or opens waits
    /// for it, and so do [`Fabric::wait`](crate::Fabric::wait) and the drop of the last clone of the Fabric.
    pub fn detach(mut self) {
        self.in_flight = None;
    }

    /// Returns true if nothing is saved, because an earlier save was on its way and the call asked for
    /// [`WhenBusy::Skip`](crate::WhenBusy::Skip).
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        self.in_flight.is_none()
    }

    /// Returns true if the save has ended, with or without an error: [`wait`](Self::wait) returns at once.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.in_flight
            .as_ref()
            .is_none_or(|in_flight| in_flight.write_progress().is_finished())
    }

    /// The bytes of tensors that this rank has written so far.
    #[must_use]
    pub fn bytes_done(&self) -> u64 {
        self.in_flight
            .as_ref()
            .map_or(0, |in_flight| in_flight.write_progress().meter().done())
    }

    /// The bytes of tensors that this rank writes in total.
    #[must_use]
    pub fn bytes_in_all(&self) -> u64 {
        self.in_flight
            .as_ref()
            .map_or(0, |in_flight| in_flight.write_progress().meter().total())
    }

    /// The entry that is being written; `None` before the first and after the end.
    #[must_use]
    pub fn entry(&self) -> Option<&str> {
        self.in_flight.as_ref()?.write_progress().entry()
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if let Some(in_flight) = &self.in_flight
            && !in_flight.would_wait_for_itself()
        {
            in_flight.join_and_print();
        }
    }
}

impl fmt::Debug for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saving")
            .field("path", &self.in_flight.as_ref().map(|in_flight| in_flight.path()))
            .field("bytes_done", &self.bytes_done())
            .field("bytes_in_all", &self.bytes_in_all())
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
