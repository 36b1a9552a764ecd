//! Loads states from an opened checkpoint.

use super::RawCheckpoint;
use crate::error::Result;
use crate::load::{Loaded, Request, load};
use crate::options::LoadOptions;
use crate::phases::Phases;
use crate::state::{AnyStateMut, Checkpoint, StateMut};

/// Each of these loads runs on one process. If ranks hold parts of tensors, all ranks load together with
/// [`Fabric::load_from`](crate::Fabric::load_from).
impl RawCheckpoint {
    /// Restores `state` from these entries, in place and strictly, as [`Fabric::load`](crate::Fabric::load) does. Use
    /// it for a component in the remainder of a load, or for a subtree of a foreign file.
    ///
    /// The load involves this process alone, even on one of several ranks: it reads whole tensors, and the first rank's
    /// value of a field that differs between ranks (`per_rank`). With [`Fabric::load_from`](crate::Fabric::load_from),
    /// all ranks load these entries together.
    ///
    /// # Errors
    /// As [`Fabric::load`](crate::Fabric::load).
    pub fn load<S: Checkpoint + ?Sized>(&self, state: &mut S) -> Result<Loaded> {
        self.load_with(state, LoadOptions::new())
    }

    /// Restores `state` as [`load`](Self::load) does, with options: filters, renames, casts, and the handling of mismatches.
    ///
    /// # Errors
    /// As [`Fabric::load_with`](crate::Fabric::load_with).
    pub fn load_with<S: Checkpoint + ?Sized>(&self, state: &mut S, options: LoadOptions) -> Result<Loaded> {
        self.load_alone(&mut StateMut(state), options, false)
    }

    /// Restores one module or optimizer from these entries, all of which belong to it, as
    /// [`Fabric::load_raw`](crate::Fabric::load_raw) does. The load involves this process alone, as with
    /// [`load`](Self::load). With [`Fabric::load_raw_from`](crate::Fabric::load_raw_from), all ranks load these entries
    /// together.
    ///
    /// # Errors
    /// As [`Fabric::load_raw`](crate::Fabric::load_raw).
    pub fn load_raw<S: Checkpoint + ?Sized>(&self, object: &mut S) -> Result<Loaded> {
        self.load_raw_with(object, LoadOptions::new())
    }

    /// Restores one module or optimizer as [`load_raw`](Self::load_raw) does, with options.
    ///
    /// # Errors
    /// As [`Fabric::load_raw_with`](crate::Fabric::load_raw_with).
    pub fn load_raw_with<S: Checkpoint + ?Sized>(&self, object: &mut S, options: LoadOptions) -> Result<Loaded> {
        self.load_alone(&mut StateMut(object), options, true)
    }

    fn load_alone(&self, state: &mut dyn AnyStateMut, options: LoadOptions, whole: bool) -> Result<Loaded> {
        let request = Request {
            options,
            whole,
            by_reader: true,
        };
        load(self, state, request, &Phases::of_load(self.origin(), 0))
    }
}
