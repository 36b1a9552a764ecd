//! Loading and opening.

use std::path::Path;

use super::Fabric;
use crate::absolute::Absolute;
use crate::dist;
use crate::dist::ranks::Ranks;
use crate::error::Result;
use crate::load::raw::RawCheckpoint;
use crate::load::{Loaded, Request, load};
use crate::options::LoadOptions;
use crate::phases::{Phase, Phases};
use crate::source::open;
use crate::state::{AnyStateMut, Checkpoint, StateMut};

impl Fabric {
    /// Restores a state in place. The match is strict: the file must have every entry of the state, and the state must
    /// have every entry of the file below each of its components. Components that only the file has are in the
    /// [remainder](Loaded::remainder).
    ///
    /// Values are written into the live tensors: variables, gradients, optimizers and tied tensors stay valid.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) with all findings if the state and the file do not match, or if no
    /// entry of the file belongs to the state; the state is unchanged then.
    /// [`Error::Interrupted`](crate::Error::Interrupted) if damage is found after tensors were written, see
    /// [`LoadOptions::verify_first`].
    pub fn load<S: Checkpoint + ?Sized>(&self, path: impl AsRef<Path>, state: &mut S) -> Result<Loaded> {
        self.load_with(path, state, LoadOptions::new())
    }

    /// Restores a state as [`load`](Self::load) does, with options.
    ///
    /// # Errors
    /// As [`load`](Self::load); and if an option names a component that the state does not have.
    pub fn load_with<S: Checkpoint + ?Sized>(
        &self,
        path: impl AsRef<Path>,
        state: &mut S,
        options: LoadOptions,
    ) -> Result<Loaded> {
        self.load_all(path.as_ref(), &mut StateMut(state), options, false)
    }

    /// Restores a state from open entries, as [`load`](Self::load) does from a path: from a component in the
    /// [remainder](Loaded::remainder) of an earlier load, or from a [subtree](RawCheckpoint::subtree) of a file.
    ///
    /// Where several ranks load, all of them make this call, with the same entries of the same checkpoint: each rank
    /// restores its part of a tensor and its own values (`per_rank`), and all ranks return the same verdict.
    /// [`RawCheckpoint::load`](crate::RawCheckpoint::load), by contrast, is the load of one process.
    ///
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use fabric_core::{Checkpoint, Fabric};
    /// #[derive(Checkpoint)]
    /// struct Saved { weight: Tensor, iteration: u64 }
    ///
    /// #[derive(Checkpoint)]
    /// struct Counter { iteration: u64 }
    ///
    /// #[derive(Checkpoint)]
    /// struct Model { weight: Tensor }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("last.ckpt");
    /// # let weight = Tensor::ones(3, DType::F32, &Device::Cpu)?;
    /// let fabric = Fabric::new();
    /// fabric.save(&path, &Saved { weight: weight.clone(), iteration: 7 })?;
    ///
    /// let mut counter = Counter { iteration: 0 };
    /// let loaded = fabric.load(&path, &mut counter)?;
    /// let mut model = Model { weight: weight.zeros_like()? };
    /// fabric.load_from(&loaded.remainder, &mut model)?;         // on every rank
    /// assert_eq!(model.weight.to_vec1::<f32>()?, [1.; 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_from<S: Checkpoint + ?Sized>(&self, entries: &RawCheckpoint, state: &mut S) -> Result<Loaded> {
        self.load_from_with(entries, state, LoadOptions::new())
    }

    /// Restores a state from open entries as [`load_from`](Self::load_from) does, with options.
    ///
    /// # Errors
    /// As [`load_with`](Self::load_with).
    pub fn load_from_with<S: Checkpoint + ?Sized>(
        &self,
        entries: &RawCheckpoint,
        state: &mut S,
        options: LoadOptions,
    ) -> Result<Loaded> {
        self.load_all_from(entries, &mut StateMut(state), options, false)
    }

    /// Loads bare weights into a module, or an optimizer's own file into an optimizer: every entry of the file is meant
    /// for `object`. Reads `.safetensors` files, hub directories (`*.safetensors.index.json` and its parts), files of
    /// `torch.save` (`.pt`, `.pth`, `.bin`, `.ckpt`), distributed checkpoints, and checkpoints of a module by itself.
    /// Plain values inside the module stay: bare weights have none.
    ///
    /// # Errors
    /// As [`load`](Self::load); and [`Error::Mismatch`](crate::Error::Mismatch) if no entry of the file matches, strict
    /// or not: it is the wrong file.
    pub fn load_raw<S: Checkpoint + ?Sized>(&self, path: impl AsRef<Path>, object: &mut S) -> Result<Loaded> {
        self.load_raw_with(path, object, LoadOptions::new())
    }

    /// Loads bare weights as [`load_raw`](Self::load_raw) does, with options.
    ///
    /// # Errors
    /// As [`load_raw`](Self::load_raw).
    pub fn load_raw_with<S: Checkpoint + ?Sized>(
        &self,
        path: impl AsRef<Path>,
        object: &mut S,
        options: LoadOptions,
    ) -> Result<Loaded> {
        self.load_all(path.as_ref(), &mut StateMut(object), options, true)
    }

    /// Restores one module or optimizer from open entries, all of which are meant for it, as
    /// [`load_raw`](Self::load_raw) does from a path. Where several ranks load, all of them make this call, as with
    /// [`load_from`](Self::load_from).
    ///
    /// # Errors
    /// As [`load_raw`](Self::load_raw).
    pub fn load_raw_from<S: Checkpoint + ?Sized>(&self, entries: &RawCheckpoint, object: &mut S) -> Result<Loaded> {
        self.load_raw_from_with(entries, object, LoadOptions::new())
    }

    /// Restores one module or optimizer from open entries as [`load_raw_from`](Self::load_raw_from) does, with options.
    ///
    /// # Errors
    /// As [`load_raw_with`](Self::load_raw_with).
    pub fn load_raw_from_with<S: Checkpoint + ?Sized>(
        &self,
        entries: &RawCheckpoint,
        object: &mut S,
        options: LoadOptions,
    ) -> Result<Loaded> {
        self.load_all_from(entries, &mut StateMut(object), options, true)
    }

    /// Opens a checkpoint or a file of weights without a state. Only its index is read. Waits for a save in the
    /// background.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) if nothing is at `path`,
    /// [`Error::UnknownFormat`](crate::Error::UnknownFormat) if this library does not read the file, and
    /// [`Error::Corrupt`](crate::Error::Corrupt) if its index is damaged.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<RawCheckpoint> {
        let _within = self.background.enter("Fabric::open")?;
        let phases = Phases::of_open(path.as_ref(), self.rank());
        phases.within(|| self.open_in(&self.absolute(path.as_ref()), &phases))
    }

    fn open_in(&self, absolute: &Absolute, phases: &Phases) -> Result<RawCheckpoint> {
        self.background.join_last();
        let path = absolute.path()?;
        let source = phases.time(Phase::Index, || open(&self.storage, path, self.limit));
        let source = source.map_err(|error| absolute.named(error))?;
        Ok(RawCheckpoint::new(source))
    }

    /// The ranks that load together; `None` for one process that loads one file.
    pub(crate) fn loading_ranks(&self) -> Option<&Ranks> {
        self.world.as_ref().map(|world| &*world.ranks)
    }

    /// Opens a file on all ranks and loads from it: if one rank cannot open it, no rank loads. With `whole`, all
    /// entries are meant for this state.
    fn load_all(&self, path: &Path, state: &mut dyn AnyStateMut, options: LoadOptions, whole: bool) -> Result<Loaded> {
        let call = if whole { "Fabric::load_raw" } else { "Fabric::load" };
        let _within = self.background.enter(call)?;
        let phases = Phases::of_load(path, self.rank());
        let absolute = self.absolute(path);
        let open = || phases.within(|| self.open_in(&absolute, &phases));
        let file = match self.loading_ranks() {
            None => open(),
            Some(ranks) => ranks.together("load: open", open),
        };
        let file = file.inspect_err(|error| phases.failed(error))?;
        let loaded = self.load_opened(&file, state, options, whole, &phases);
        let mut loaded = loaded.map_err(|error| absolute.named(error))?;
        absolute.named_report(&mut loaded.report);
        Ok(loaded)
    }

    /// Loads from entries that all ranks have opened.
    fn load_all_from(
        &self,
        entries: &RawCheckpoint,
        state: &mut dyn AnyStateMut,
        options: LoadOptions,
        whole: bool,
    ) -> Result<Loaded> {
        let call = if whole {
            "Fabric::load_raw_from"
        } else {
            "Fabric::load_from"
        };
        let _within = self.background.enter(call)?;
        self.background.join_last();
        let phases = Phases::of_load(entries.origin(), self.rank());
        self.load_opened(entries, state, options, whole, &phases)
    }

    fn load_opened(
        &self,
        entries: &RawCheckpoint,
        state: &mut dyn AnyStateMut,
        options: LoadOptions,
        whole: bool,
        phases: &Phases,
    ) -> Result<Loaded> {
        let request = Request {
            options,
            whole,
            by_reader: false,
        };
        match self.loading_ranks() {
            None => load(entries, state, request, phases),
            Some(ranks) => dist::load::load(ranks, entries, state, request, phases),
        }
    }
}
