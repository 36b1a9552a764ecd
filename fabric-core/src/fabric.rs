//! The entry points.

mod builder;
mod convert;

use std::path::Path;
use std::sync::Arc;

use candle_core::Var;

pub use self::builder::Builder;
use crate::absolute::Absolute;
use crate::dist;
use crate::dist::ranks::Ranks;
use crate::dist::strategy::Strategy;
use crate::dist::rank_channels::RankChannels;
use crate::error::Result;
use crate::load::raw::RawCheckpoint;
use crate::load::{Loaded, Request, load};
use crate::options::{LoadOptions, SaveOptions};
use crate::phases::{Phase, Phases};
use crate::save::background::{Agree, BackgroundHandle, BackgroundSave, STAGING, Saving};
use crate::save::{self, Decided, SaveReport, save};
use crate::source::{ReadLimit, open};
use crate::state::{AnyState, AnyStateMut, Checkpoint, Content, Role, StateMut, StateRef, StorageKey, Visitor};
use crate::storage::{Local, Storage};

/// Saves and loads states: the one object that a program keeps.
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_nn::{Linear, VarBuilder, VarMap, linear};
/// use fabric_core::{Checkpoint, Fabric};
///
/// #[derive(Checkpoint)]
/// struct State { model: Linear, iteration: u64 }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("last.ckpt");
/// let builder = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let mut state = State { model: linear(2, 3, builder)?, iteration: 7 };
///
/// let fabric = Fabric::new();
/// fabric.save(&path, &state)?;
/// state.iteration = 0;
/// fabric.load(&path, &mut state)?;
/// assert_eq!(state.iteration, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fabric {
    /// With all sizes of its mesh.
    strategy: Strategy,
    /// The ranks that save and load together; `None` where one process writes one file.
    world: Option<Arc<RankChannels>>,
    storage: Arc<dyn Storage>,
    background: BackgroundHandle,
    limit: ReadLimit,
}

impl Default for Fabric {
    fn default() -> Self {
        Self::new()
    }
}

impl Fabric {
    /// One device, one file, on the local file system.
    #[must_use]
    pub fn new() -> Self {
        Self {
            background: BackgroundHandle::new(STAGING),
            strategy: Strategy::single_device(),
            world: None,
            storage: Arc::new(Local::new()),
            limit: ReadLimit::default(),
        }
    }

    /// Another strategy, process group or storage.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The strategy in force; its mesh has all its sizes.
    #[must_use]
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// This process's number among those that save and load together, from 0.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.world.as_ref().map_or(0, |world| world.ranks.rank())
    }

    /// How many save and load together.
    #[must_use]
    pub fn world_size(&self) -> usize {
        self.world.as_ref().map_or(1, |world| world.ranks.world_size())
    }

    /// Saves a state, replacing what is at `path`. Directories on the way are created. When this returns, the
    /// checkpoint is complete and survives a power failure; if it fails, what was at `path` is still there.
    ///
    /// # Errors
    /// If two entries have one name, a filter keeps nothing, or a value cannot be stored: before anything is written.
    /// If the storage fails. [`Error::Background`] if an earlier save in the background failed and nobody waited for it.
    ///
    /// [`Error::Background`]: crate::Error::Background
    pub fn save<S: Checkpoint + ?Sized>(&self, path: impl AsRef<Path>, state: &S) -> Result<SaveReport> {
        self.save_with(path, state, SaveOptions::new())
    }

    /// The same with options.
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

    /// Saves a state in the background: returns as soon as nobody can change it any more before it is copied, which is at
    /// once, and training goes on meanwhile. What is saved is the state at the call, whatever happens to it next.
    ///
    /// A thread takes a read guard on every tensor before this returns, copies tensors into memory of its own
    /// ([`Builder::staging`]), and releases each guard as it goes: an optimizer that comes to a tensor that was not copied
    /// yet waits for it. Then the checkpoint is written as [`save`](Self::save) writes it: what was at `path` is there
    /// until the new one is complete.
    ///
    /// At most one save is on its way: a second one waits for the first, or does what [`SaveOptions::when_busy`] says. Every
    /// other call of this Fabric and its clones that saves, loads or opens waits too. So does dropping the last handle that the
    /// program has; one that a progress callback holds does not count. [`wait`](Self::wait) is the last call of a program that
    /// saves in the background.
    ///
    /// Where the system has no thread or no memory to give, the checkpoint is written before this returns.
    ///
    /// The state must not be written to by other threads *during* the call: what is saved would be neither the state before nor
    /// the one after. A thread that holds a guard of candle's (`Tensor::storage_and_layout`) on a tensor of the state must drop it
    /// before the call: if a third thread waits to write to that tensor, the call hangs.
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
    /// As [`save`](Self::save) for all that is found before anything is written; what goes wrong later is told by
    /// [`Saving::wait`], or by the next save.
    pub fn save_async<S: Checkpoint + ?Sized>(&self, path: impl AsRef<Path>, state: &S) -> Result<Saving> {
        self.save_async_with(path, state, SaveOptions::new())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`save_async`](Self::save_async); if an option names a component that the state does not have; and
    /// [`Error::Busy`] with [`WhenBusy::Fail`].
    ///
    /// [`Error::Busy`]: crate::Error::Busy
    /// [`WhenBusy::Fail`]: crate::WhenBusy::Fail
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

    /// Decides a save, together with the other ranks if there are any. `channel` is the channel that ranks write over.
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

    /// Waits until the save in the background that is on its way has ended, and returns its error, if no call has returned it
    /// yet. The last call of a program that saves in the background; [`Saving::wait`] tells the report, too.
    ///
    /// A `Fabric` in a `static` is never dropped, and `std::process::exit` drops nothing: without this call, such a program
    /// loses the save that is on its way, and its error.
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
    /// [`Error::Background`] if the save failed and neither [`Saving::wait`] nor a later save has returned the error.
    /// [`Error::Nested`] within a callback of the same Fabric.
    ///
    /// [`Error::Background`]: crate::Error::Background
    /// [`Error::Nested`]: crate::Error::Nested
    pub fn wait(&self) -> Result<()> {
        let _within = self.background.enter("Fabric::wait")?;
        self.background.wait_for_last()
    }

    /// Restores a state in place, strictly: every entry of the state from the file, every entry of the file that lies
    /// below one of the state's components to the state. Components of the file that the state does not have are left
    /// in the [remainder](Loaded::remainder).
    ///
    /// Tensors are written where they are: variables, gradients, optimizers and tied tensors stay what they are.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with all findings if state and file do not match, or if nothing in the file belongs to the
    /// state; nothing has changed then. If the file is damaged: [`Error::Interrupted`] if that came out after tensors had been written, see
    /// [`LoadOptions::verify_first`].
    ///
    /// [`Error::Mismatch`]: crate::Error::Mismatch
    /// [`Error::Interrupted`]: crate::Error::Interrupted
    pub fn load<S: Checkpoint + ?Sized>(&self, path: impl AsRef<Path>, state: &mut S) -> Result<Loaded> {
        self.load_with(path, state, LoadOptions::new())
    }

    /// The same with options.
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

    /// Restores a state from entries that are open already, as [`load`](Self::load) does from a path: a component left in the
    /// [remainder](Loaded::remainder) of an earlier load, or a [subtree](RawCheckpoint::subtree) of a file.
    ///
    /// Where several ranks load, all of them make this call, with the same entries of the same checkpoint: each rank restores
    /// its part of a tensor and its own values (`per_rank`), and all ranks return the same verdict.
    /// [`RawCheckpoint::load`], by contrast, is the load of one process.
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
    /// `torch.save` (`.pt`, `.pth`, `.bin`, `.ckpt`), distributed checkpoints, and checkpoints of a module by itself. Plain
    /// values inside the module are not looked for, and stay.
    ///
    /// # Errors
    /// As [`load`](Self::load); and if nothing in the file matches, strict or not: it is the wrong file then.
    pub fn load_raw<S: Checkpoint + ?Sized>(&self, path: impl AsRef<Path>, object: &mut S) -> Result<Loaded> {
        self.load_raw_with(path, object, LoadOptions::new())
    }

    /// The same with options.
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

    /// Restores one module or optimizer from entries that are open already, all of which are meant for it, as
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

    /// Opens a checkpoint or a file of weights without a state. Only its index is read. Waits for a save in the background.
    ///
    /// # Errors
    /// If there is nothing at `path`, nothing that this library reads, or its index is damaged.
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

    /// The path as this process would find it from any directory.
    fn absolute(&self, path: &Path) -> Absolute {
        Absolute::of(&*self.storage, path)
    }

    /// The ranks that load together; `None` where one process loads one file.
    fn loading_ranks(&self) -> Option<&Ranks> {
        self.world.as_ref().map(|world| &*world.ranks)
    }

    /// Opens a file on all ranks and loads from it: what one cannot open, none loads. If `whole`, all entries are meant for
    /// this state.
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

/// The learned variables of a module in declared order, each once, with their names: what an optimizer should be built
/// from where order matters, as PyTorch's `model.named_parameters()` gives it.
///
/// Running statistics and tensors that are no variables are left out; of tied tensors the first name counts.
///
/// ```
/// # use candle_core::{DType, Device};
/// # use candle_nn::{VarBuilder, VarMap, linear};
/// # fn main() -> candle_core::Result<()> {
/// let variables = VarMap::new();
/// let layer = linear(2, 3, VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
/// let names: Vec<String> = fabric_core::named_parameters(&layer).into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["weight", "bias"]);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn named_parameters<M: Checkpoint + ?Sized>(module: &M) -> Vec<(String, Var)> {
    let mut visitor = Visitor::listing();
    module.visit(&mut visitor);
    let mut seen = std::collections::HashSet::new();
    let parameter = |item: crate::state::Item<_>| match item.content {
        Content::Tensor(tensor, Role::Parameter) if tensor.is_variable() && seen.insert(StorageKey::of(&tensor)) => {
            // A tensor that is a variable becomes a `Var` as it is; nothing is copied and nothing can fail.
            Some((item.scope.name, Var::from_tensor(&tensor).ok()?))
        }
        _ => None,
    };
    visitor.finish().items.into_iter().filter_map(parameter).collect()
}
