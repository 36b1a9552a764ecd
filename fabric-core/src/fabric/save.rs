//! Saving: in the caller's thread, or in the background.

use std::path::Path;
use std::sync::Arc;

use super::Fabric;
use crate::absolute::Absolute;
use crate::dist;
use crate::dist::rank_channels::RankChannels;
use crate::dist::ranks::Ranks;
use crate::error::Result;
use crate::options::SaveOptions;
use crate::phases::Phases;
use crate::save::background::{Agree, BackgroundSave, Saving};
use crate::save::{self, Decided, SaveReport, save};
use crate::state::{AnyState, Checkpoint, StateRef};

impl Fabric {
    /// Saves a state to `path`, and replaces the checkpoint there. Missing directories are created. When this returns,
    /// the checkpoint is complete and survives a power failure; if it fails, the old checkpoint is still there.
    ///
    /// # Errors
    /// Before anything is written: [`Error::State`](crate::Error::State) if two entries have one name, a filter keeps
    /// no entry, or a value cannot be stored. [`Error::Io`](crate::Error::Io) if the storage fails.
    /// [`Error::Background`](crate::Error::Background) if an earlier save in the background failed and no call has
    /// returned its error.
    pub fn save<S: Checkpoint + ?Sized>(&self, path: impl AsRef<Path>, state: &S) -> Result<SaveReport> {
        self.save_with(path, state, SaveOptions::new())
    }

    /// Saves a state as [`save`](Self::save) does, with options.
    ///
    /// # Errors
    /// As [`save`](Self::save); and if an option names a component that the state does not have.
    pub fn save_with<S: Checkpoint + ?Sized>(
        &self,
        path: impl AsRef<Path>,
        state: &S,
        options: SaveOptions,
    ) -> Result<SaveReport> {
        self.save_any(path.as_ref(), &StateRef(state), options)
    }

    fn save_any(&self, path: &Path, state: &dyn AnyState, options: SaveOptions) -> Result<SaveReport> {
        let _within = self.background.enter("Fabric::save")?;
        let absolute = self.absolute(path);
        let phases = Phases::of_save(absolute.given(), self.rank(), false);
        save(&*self.storage, &absolute, &phases, || {
            self.decide(&phases, &absolute, state, options, |world| Ok(world.ranks.clone()))
        })
    }

    /// Saves a state in the background. Returns as soon as the state may change again, which is at once; the checkpoint
    /// has the values at the time of the call.
    ///
    /// A thread takes a read guard on every tensor before this returns, copies the tensors into the staging memory
    /// ([`Builder::staging`](crate::Builder::staging)), and releases each guard as it goes: an optimizer waits if it
    /// writes to a tensor that is not copied yet. The checkpoint is written as [`save`](Self::save) writes it: the old
    /// one is at `path` until the new one is complete.
    ///
    /// At most one save is on its way: a second one waits for the first, or does what [`SaveOptions::when_busy`] says.
    /// Every other call of this Fabric and its clones that saves, loads or opens waits too, and so does dropping the
    /// program's last handle of the Fabric (a handle that a progress callback holds does not count).
    /// [`wait`](Self::wait) is the last call of a program that saves in the background.
    ///
    /// If the system has no thread or no memory left, the checkpoint is written before this returns.
    ///
    /// Other threads must not write to the state *during* the call: the checkpoint would mix the states before and
    /// after. Deadlock hazard: before the call, drop every guard of candle's (`Tensor::storage_and_layout`) on a tensor
    /// of the state; if a third thread waits to write to that tensor, the call hangs.
    ///
    /// ```
    /// # use candle_core::{DType, Device, Tensor, Var};
    /// # use fabric_core::{Checkpoint, Fabric};
    /// # #[derive(Checkpoint)]
    /// # struct State { weight: Var, iteration: u64 }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// let fabric = Fabric::new();
    /// let mut state = State { weight: Var::zeros(3, DType::F32, &Device::Cpu)?, iteration: 7 };
    /// let saving = fabric.save_async(&path, &state)?;
    /// state.weight.set(&Tensor::ones(3, DType::F32, &Device::Cpu)?)?;   // training goes on
    /// saving.wait()?;
    /// fabric.load(&path, &mut state)?;
    /// assert_eq!(state.weight.to_vec1::<f32>()?, [0.; 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`save`](Self::save) that are found before anything is written; later ones are returned by
    /// [`Saving::wait`] or by the next save.
    pub fn save_async<S: Checkpoint + ?Sized>(&self, path: impl AsRef<Path>, state: &S) -> Result<Saving> {
        self.save_async_with(path, state, SaveOptions::new())
    }

    /// Saves a state in the background as [`save_async`](Self::save_async) does, with options.
    ///
    /// # Errors
    /// As [`save_async`](Self::save_async); [`Error::State`](crate::Error::State) if an option names a component that
    /// the state does not have; and [`Error::Busy`](crate::Error::Busy) with [`WhenBusy::Fail`](crate::WhenBusy::Fail).
    pub fn save_async_with<S: Checkpoint + ?Sized>(
        &self,
        path: impl AsRef<Path>,
        state: &S,
        options: SaveOptions,
    ) -> Result<Saving> {
        self.save_any_async(path.as_ref(), &StateRef(state), options)
    }

    fn save_any_async(&self, path: &Path, state: &dyn AnyState, options: SaveOptions) -> Result<Saving> {
        let _within = self.background.enter("Fabric::save_async")?;
        let absolute = self.absolute(path);
        let agree = self
            .world
            .as_ref()
            .map(|world| move |busy: bool, until_started: &dyn Fn()| world.is_any_busy(busy, until_started));
        let request = BackgroundSave {
            storage: &self.storage,
            absolute,
            when_busy: options.when_busy,
            watched: options.progress.is_some(),
            rank: self.rank(),
            agree: agree.as_ref().map(|agree| agree as &Agree<'_>),
        };
        self.background.save(request, |phases, absolute| {
            self.decide(phases, absolute, state, options, RankChannels::writing)
        })
    }

    /// Decides a save, together with the other ranks if there are any. `channel` gives the channel of the ranks while
    /// they write.
    fn decide(
        &self,
        phases: &Phases,
        absolute: &Absolute,
        state: &dyn AnyState,
        options: SaveOptions,
        channel: impl FnOnce(&RankChannels) -> Result<Arc<Ranks>>,
    ) -> Result<Decided> {
        let before = || self.background.wait_for_last();
        match &self.world {
            None => save::decide(phases, absolute, state, options, self.strategy.origin(), before),
            Some(world) => dist::save::decide(
                &world.ranks,
                || channel(world),
                phases,
                absolute,
                state,
                options,
                before,
            ),
        }
    }

    /// Waits until the save in the background has ended, and returns its error, if no call has returned it yet. This is
    /// the last call of a program that saves in the background; [`Saving::wait`] returns the report too.
    ///
    /// A `Fabric` in a `static` is never dropped, and `std::process::exit` drops nothing: without this call, such a
    /// program loses the save that is on its way, and its error.
    ///
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use fabric_core::{Checkpoint, Fabric};
    /// # #[derive(Checkpoint)]
    /// # struct State { weight: Tensor }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// # let state = State { weight: Tensor::zeros(3, DType::F32, &Device::Cpu)? };
    /// let fabric = Fabric::new();
    /// for _step in 0..3 {
    ///     fabric.save_async(&path, &state)?.detach();
    /// }
    /// fabric.wait()?; // the end of the program
    /// # assert!(path.exists());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Background`](crate::Error::Background) if the save failed and neither [`Saving::wait`] nor a later save
    /// has returned its error. [`Error::Nested`](crate::Error::Nested) within a callback of the same Fabric.
    pub fn wait(&self) -> Result<()> {
        let _within = self.background.enter("Fabric::wait")?;
        self.background.wait_for_last()
    }
}
