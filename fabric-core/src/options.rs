//! The options of a save, of a load and of a verification.

mod reshard;
mod verify;

use std::sync::Arc;

pub use self::reshard::ReshardOptions;
pub use self::verify::VerifyOptions;
use crate::entry::TensorInfo;
use crate::error::Result;
use crate::filter::Filter;
use crate::progress::{Callback, Progress};
use crate::state::{Field, Handle};

/// How to load: strict and everything, unless said otherwise.
///
/// ```
/// use fabric_core::{LoadOptions, OnMismatch};
///
/// let fine_tuning = LoadOptions::new().strict(false).on_mismatch(OnMismatch::Skip);
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing before they are given to a load"]
pub struct LoadOptions {
    pub(crate) strict: bool,
    pub(crate) cast: bool,
    pub(crate) on_mismatch: OnMismatch,
    pub(crate) verify_first: bool,
    pub(crate) only: Vec<Handle>,
    pub(crate) exclude: Vec<Handle>,
    pub(crate) root: Option<String>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) renames: Vec<(String, String)>,
    pub(crate) progress: Option<Callback>,
}

/// The treatment of a tensor whose shape in the file differs from the state's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnMismatch {
    /// Refuse the load.
    #[default]
    Refuse,
    /// Leave the entry as it is, and say so in the report. For fine-tuning with another head. An optimizer's state of a
    /// parameter of which a part is skipped begins at zero as a whole.
    Skip,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            strict: true,
            cast: false,
            on_mismatch: OnMismatch::default(),
            verify_first: false,
            only: Vec::new(),
            exclude: Vec::new(),
            root: None,
            prefixes: Vec::new(),
            renames: Vec::new(),
            progress: None,
        }
    }
}

impl LoadOptions {
    /// Strict; everything in the state; shapes and element types as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `true`, the default, an entry that only the state has, or only the file, refuses the load. With `false`, such
    /// entries are left alone and reported. A file without any entry of the state is refused in any case.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// With `true`, tensors of another element type are converted to the state's. With `false`, the default, they refuse the
    /// load.
    pub fn cast(mut self, cast: bool) -> Self {
        self.cast = cast;
        self
    }

    /// The treatment of tensors of another shape. By default they refuse the load, strict or not.
    pub fn on_mismatch(mut self, on_mismatch: OnMismatch) -> Self {
        self.on_mismatch = on_mismatch;
        self
    }

    /// With `true`, every byte is read and compared with its checksum before the first tensor is overwritten: the load
    /// changes everything or nothing, also on a damaged disk, and reads twice. `false` by default.
    pub fn verify_first(mut self, verify_first: bool) -> Self {
        self.verify_first = verify_first;
        self
    }

    /// Takes only what lies below this name in the file, and names it relative to it: `root("state_dict")` for
    /// `{"state_dict": {...}, "epoch": 3}`. The rest of the file is in the remainder.
    ///
    /// Names are changed in this order: the root, then prefixes, then renames; the report speaks of entries by their
    /// changed names, the remainder by those of the file. Two entries that come to have one name are an error.
    pub fn root(mut self, name: impl Into<String>) -> Self {
        self.root = Some(name.into());
        self
    }

    /// Removes this prefix where a name begins with it, and where what lies below a component does: `"module."` turns
    /// `module.fc1.weight` into `fc1.weight`, and `model.module.fc1.weight` into `model.fc1.weight`. The prefixes that
    /// PyTorch's wrappers leave inside of names (`"_orig_mod."`, `"_fsdp_wrapped_module."`) are removed anywhere. May be
    /// repeated for several.
    ///
    /// A prefix that no name of the file has is no error, so that one program takes the files of wrapped models and those of
    /// plain ones. A load that is refused names it.
    pub fn strip_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Gives the entry `from` of the file, and everything below it, the name `to`. May be repeated; renames follow each
    /// other. Where the name of a parameter changes, so does that of an optimizer's state of it.
    ///
    /// A rename that finds nothing is an error, strict or not: with a mistyped name, or another file, a load would restore other
    /// entries than the caller means. A field that is declared with `#[checkpoint(alias = "...")]` takes files of either name.
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.renames.push((from.into(), to.into()));
        self
    }

    /// Restores only this field, `TrainState::FIELDS.model`, say; may be repeated for several. The rest of the state
    /// is not touched, and its entries in the file are in the remainder.
    ///
    /// A handle belongs to the type that is loaded. A handle of another type is
    /// [`StateError::Handle`](crate::StateError::Handle), whatever it is called.
    pub fn only<S: ?Sized, T: ?Sized>(mut self, field: Field<S, T>) -> Self {
        self.only.push(field.handle());
        self
    }

    /// Leaves this field as it is, `TrainState::FIELDS.optimizer`, say, and restores the others; may be repeated for
    /// several. The entries of the field in the file are in the remainder. Together with [`only`](Self::only), a field
    /// inside of a restored one can be left out.
    ///
    /// ```
    /// use fabric_core::{Checkpoint, Fabric, LoadOptions};
    ///
    /// #[derive(Checkpoint)]
    /// struct Counters { step: u64, epoch: u64 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("run.ckpt");
    /// # let fabric = Fabric::new();
    /// # fabric.save(&path, &Counters { step: 7, epoch: 2 })?;
    /// let mut counters = Counters { step: 0, epoch: 0 };
    /// let loaded = fabric.load_with(&path, &mut counters, LoadOptions::new().exclude(Counters::FIELDS.epoch))?;
    /// assert_eq!((counters.step, counters.epoch), (7, 0));
    /// assert_eq!(loaded.remainder.names(), ["epoch"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn exclude<S: ?Sized, T: ?Sized>(mut self, field: Field<S, T>) -> Self {
        self.exclude.push(field.handle());
        self
    }

    /// Tells `callback` how far the load has come: about once for each MiB, and when the last byte was read. It is not
    /// called if there is nothing to read.
    ///
    /// Of several threads that read, the one that has just read calls it, and the others do not call it meanwhile:
    /// [`Progress::bytes_done`] only grows, and the last call of a load that succeeds says that all is done. It should return
    /// soon, and must not touch the state: the tensor that is being filled is locked, and a callback that waits for it hangs. It
    /// must not use the Fabric that loads: such a call returns [`Error::Nested`](crate::Error::Nested). Each rank is told of its
    /// own bytes, and one rank may ask where others do not.
    ///
    /// If it panics, the panic unwinds out of the load, after the other ranks were told of it; tensors may hold new contents
    /// by then, in part, unless the load was still [verifying first](Self::verify_first).
    ///
    /// ```
    /// use fabric_core::LoadOptions;
    ///
    /// let options = LoadOptions::new().progress(|progress| {
    ///     eprintln!("{} of {} bytes, {}", progress.bytes_done, progress.bytes_in_all, progress.entry);
    /// });
    /// ```
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }

    /// The options that ranks compare, each with its name and its value. The callback is not compared.
    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        let Self {
            strict,
            cast,
            on_mismatch,
            verify_first,
            only,
            exclude,
            root,
            prefixes,
            renames,
            progress: _,
        } = self;
        let list = |items: &[String]| match items {
            [] => "not given".to_owned(),
            items => items.join(", "),
        };
        let fields = |fields: &[Handle]| {
            let names = fields
                .iter()
                .map(|field| format!("`{}` of {:?}", field.name, field.schema));
            list(&names.collect::<Vec<_>>())
        };
        let renames: Vec<String> = renames.iter().map(|(from, to)| format!("{from} to {to}")).collect();
        let said = [
            ("strict", strict.to_string()),
            ("cast", cast.to_string()),
            ("on_mismatch", format!("{on_mismatch:?}")),
            ("verify_first", verify_first.to_string()),
            ("only", fields(only)),
            ("exclude", fields(exclude)),
            ("root", root.clone().unwrap_or_else(|| list(&[]))),
            ("strip_prefix", list(prefixes)),
            ("rename", list(&renames)),
        ];
        let named = said.map(|(name, what)| (format!("the option LoadOptions::{name}"), what));
        named.into()
    }
}

/// How to save: everything, durably, unless said otherwise.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing before they are given to a save"]
pub struct SaveOptions {
    pub(crate) filters: Vec<(Handle, Filter)>,
    pub(crate) exclude: Vec<Handle>,
    pub(crate) durability: Durability,
    pub(crate) when_busy: WhenBusy,
    pub(crate) replicas: Replicas,
    pub(crate) progress: Option<Callback>,
    /// The facts that a run stores in the head of the manifest, as CBOR, sorted by their keys.
    pub(crate) facts: Vec<(String, Vec<u8>)>,
    pub(crate) after: Option<After>,
}

/// The work of a run after a save is committed, on the thread that saves.
#[derive(Clone)]
pub(crate) struct After(pub(crate) Arc<dyn Fn() -> Result<()> + Send + Sync>);

impl std::fmt::Debug for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("After")
    }
}

/// How a save on several ranks treats tensors and values that ranks hold as replicas of each other: all that no attribute cuts,
/// and a part that several ranks hold.
///
/// Values are always compared. Running statistics (`running_mean`, `running_var`, `num_batches_tracked`) and what
/// `#[checkpoint(buffer)]` marks may differ: those of the first rank that holds them are saved, and
/// [`SaveReport::differing`](crate::SaveReport::differing) names them.
///
/// All ranks ask for the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replicas {
    /// Refuses replicas that differ, with [`Error::Disagreement`](crate::Error::Disagreement). Tensors of up to 64 KiB are compared
    /// whole, larger ones by a sample: 64 bytes of every 16,064, and the last 64. A layer, a rank's rows or a replica that has
    /// drifted is found by it; a few elements in between are not.
    #[default]
    Sample,
    /// Refuses replicas that differ in any byte. Every rank reads all of its tensors once more.
    Whole,
    /// Saves the replica of rank 0, or of a part that rank 0 does not hold, that of the first rank which holds it.
    /// [`SaveReport::differing`](crate::SaveReport::differing) names those that differ, as far as a sample tells. For a save that
    /// must not fail: a run that is told to end, say. The first rank writes all tensors of more than 64 KiB that it shares with
    /// others, so such a save may take longer.
    RankZero,
}

/// The behaviour of [`Fabric::save_async_with`](crate::Fabric::save_async_with) while an earlier save is still running.
///
/// Where there are several ranks, all ask for the same; if the earlier save is on its way on any rank, it is on all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenBusy {
    /// Waits for the earlier one. The others never wait for it, nor for another thread that does.
    #[default]
    Wait,
    /// Does not save: [`Saving::is_skipped`](crate::Saving::is_skipped) says so, and
    /// [`SaveReport::skipped`](crate::SaveReport::skipped).
    Skip,
    /// Does not save: [`Error::Busy`](crate::Error::Busy).
    Fail,
}

/// The guarantee that a save gives when it returns.
///
/// On a file system of this machine ([`Local`](crate::storage::Local)), `Durable` means:
///
/// | system | the contents of files | the name of the checkpoint |
/// |---|---|---|
/// | Linux and other Unix systems | survive a power failure: `fsync` | survives it: `fsync` of the directory |
/// | macOS | survive a power failure: `F_FULLFSYNC`, which also empties the cache of the device. A file system without that call refuses the save | survives it, in the same way |
/// | Windows | survive a power failure: `FlushFileBuffers` | Windows has no call for it: a power failure may bring the old checkpoint back, complete, after the save has returned |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The checkpoint survives a power failure.
    #[default]
    Durable,
    /// The checkpoint survives the end of the process, and not a power failure: the system has the bytes, the device may
    /// not. The checkpoint still replaces the old one in one step. After a power failure either may be damaged, which a load
    /// detects.
    Relaxed,
}

impl SaveOptions {
    /// A save of a run, with its facts and the work that follows.
    pub(crate) fn of_run(
        mut self,
        facts: Vec<(String, Vec<u8>)>,
        after: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.facts = facts;
        self.after = Some(After(Arc::new(after)));
        self
    }

    /// Saves every entry, durably.
    pub fn new() -> Self {
        Self::default()
    }

    /// Saves only those tensors below `field` that the closure keeps. It sees names relative to the field and each
    /// tensor's element type and shape; where ranks hold parts, those of the whole. The file records what was left out.
    pub fn filter<S: ?Sized, T: ?Sized>(
        mut self,
        field: Field<S, T>,
        keep: impl Fn(&str, &TensorInfo) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filters.push((field.handle(), Filter::closure(keep)));
        self
    }

    /// Leaves out everything below `field`. The file records that.
    pub fn exclude<S: ?Sized, T: ?Sized>(mut self, field: Field<S, T>) -> Self {
        self.exclude.push(field.handle());
        self
    }

    /// How durable the checkpoint is when the save returns.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The behaviour of [`save_async_with`](crate::Fabric::save_async_with) while an earlier save in the background is still
    /// running. By default the new save waits for it. A plain save always waits.
    pub fn when_busy(mut self, when_busy: WhenBusy) -> Self {
        self.when_busy = when_busy;
        self
    }

    /// The behaviour of a save whose ranks hold different replicas of a tensor or a value. By default the save is refused. See
    /// [`Replicas`].
    ///
    /// ```
    /// use fabric_core::{Replicas, SaveOptions};
    ///
    /// let at_any_price = SaveOptions::new().replicas(Replicas::RankZero);
    /// ```
    pub fn replicas(mut self, replicas: Replicas) -> Self {
        self.replicas = replicas;
        self
    }

    /// Tells `callback` how far the save has come: about once for each MiB, at most 8 MiB later, and when the last byte was
    /// given to the storage; what is left then is to make the checkpoint durable and to put it in its place. It is not
    /// called if there is nothing to write.
    ///
    /// The thread that writes calls it: the caller's, or that of a save in the background. It must not write to the state: the
    /// tensor that is being saved is locked, and a callback that waits for it hangs. It must not use the Fabric that saves: such
    /// a call returns [`Error::Nested`](crate::Error::Nested). Each rank is told of the bytes that it writes, and one rank may ask
    /// where others do not.
    ///
    /// If it panics, nothing was saved and what was there is still there: the panic unwinds out of the save, after the other
    /// ranks were told of it, or is [`Error::Panicked`](crate::Error::Panicked) of a save in the background.
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }
}
