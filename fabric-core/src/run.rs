//! Runs: the checkpoints of one training in one directory.
//!
//! A [`Run`] names the checkpoints after their steps, removes those that no rule keeps, resumes from the newest one that is
//! whole, and tells a training that a signal asks it to end.
//!
//! ```
//! use candle_core::{DType, Device, Var};
//! use fabric_core::run::{Every, Keep, Metric, Run};
//! use fabric_core::{Checkpoint, Fabric};
//!
//! #[derive(Checkpoint)]
//! struct State { weight: Var }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path().join("gpt");
//! let fabric = Fabric::new();
//! let mut run = Run::at(directory)
//!     .keep(Keep::last(3).best(2, Metric::lowest("val_loss")))
//!     .save_every(Every::steps(500))
//!     .stop_on_signals()
//!     .open(&fabric)?;
//!
//! let mut state = State { weight: Var::zeros(3, DType::F32, &Device::Cpu)? };
//! let resumed = run.resume(&mut state)?;
//! let mut step = resumed.map_or(0, |resumed| resumed.step);
//! while step < 2_000 {
//!     step += 1;
//!     let loss = 1. / step as f64; // a step of the training
//!     let stop = run.stop_requested()?;
//!     if run.due(step) || stop {
//!         run.save_async(step, &state, &[("val_loss", loss)])?;
//!     }
//!     if stop {
//!         break;
//!     }
//! }
//! run.wait()?;
//! let steps: Vec<u64> = run.checkpoints()?.iter().map(|kept| kept.step).collect();
//! assert_eq!(steps, [1_000, 1_500, 2_000]);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - A checkpoint is removed only after a newer one is durable. The newest one is never removed, nor is anything that no run
//!   wrote: a file of the user stays, whatever its name is.
//! - A crash at any instant leaves all of the checkpoints that were to go, or fewer of them, and never a part of one under its
//!   name.
//! - A checkpoint that a resume found damaged counts for no rule and is not removed, also by later processes, which learn of it
//!   from the checkpoints that were saved since. A later save of its step sets it aside as `<name>.damaged`.
//! - After a resume from an older step, the newer checkpoints belong to a branch that was left: [`Run::latest`] and
//!   [`Run::resume`] follow the order in which checkpoints were saved.
//! - Step, metrics and time stand in the head of each checkpoint, and are listed without reading a tensor.

mod builder;
mod decision;
mod every;
mod found;
mod keep;
mod listing;
mod lock;
mod log;
mod names;
mod opened;
mod prune;
mod resume;
mod retention;
mod signals;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

pub use self::builder::Builder;
pub use self::decision::{Decision, Reason};
pub use self::every::Every;
use self::every::Last;
pub use self::found::{Damaged, Kept};
pub use self::keep::{Keep, Metric};
pub use self::listing::{Listing, list};
pub use self::log::Logged;
pub use self::prune::Pruned;
pub use self::resume::Resumed;
use self::retention::RunDirectory;
use self::signals::Signals;
use crate::error::{Error, Result};
use crate::fabric::Fabric;
use crate::format::facts::{Facts, Marks};
use crate::options::{Durability, SaveOptions};
use crate::save::SaveReport;
use crate::state::Checkpoint;

/// The checkpoints of one training in one directory; the [module](self) has an example.
///
/// Where several ranks save, each has a `Run`, and all ranks make each call but [`checkpoints`](Self::checkpoints),
/// [`latest`](Self::latest) and [`best`](Self::best). Metrics are those of rank 0.
///
/// A `Run` that is dropped while a save is in the background leaves it to end: the lock is held until then, and another
/// [`open`](Builder::open) of the directory is refused. [`wait`](Self::wait) is the last call of a training.
#[derive(Debug)]
pub struct Run {
    fabric: Fabric,
    held: Arc<RunDirectory>,
    save_every: Option<Every>,
    signals: Option<Signals>,
    /// The signals have been agreed about, and stay so.
    stops: bool,
    ask_every: u64,
    asked: u64,
    host: Option<String>,
    last: Last,
    /// The order of the last save, which may still be on its way.
    order: u64,
}

impl Run {
    /// A run in this directory, to be opened.
    pub fn at(directory: impl Into<PathBuf>) -> Builder {
        Builder::new(directory.into())
    }

    /// Returns true if a save is due at `step`, by [`Builder::save_every`]. If ranks cannot agree, the answer is `true`, and the save
    /// returns the error.
    #[must_use]
    pub fn due(&self, step: u64) -> bool {
        let Some(every) = self.save_every else { return false };
        let is_due = || every.is_due(step, self.last, || !self.fabric.is_saving());
        match self.fabric.loading_ranks() {
            Some(ranks) if !every.is_by_steps() => {
                let answer = ranks.on_rank_zero("run: due", || Ok(vec![u8::from(is_due())]));
                answer.map_or(true, |answer| answer.first() == Some(&1))
            }
            _ => is_due(),
        }
    }

    /// Returns true if a signal has asked this training to end, on this rank or on another one. All ranks get one answer. Once
    /// `true`, the answer stays `true`.
    ///
    /// # Errors
    /// If ranks do not come together.
    pub fn stop_requested(&mut self) -> Result<bool> {
        let Some(signals) = self.signals.as_ref().filter(|_| !self.stops) else {
            return Ok(self.stops);
        };
        let received = signals.received();
        self.stops = match self.fabric.loading_ranks() {
            None => received,
            Some(ranks) => {
                self.asked += 1;
                if !self.asked.is_multiple_of(self.ask_every) {
                    return Ok(false);
                }
                let ((), said) = ranks.step("run: stop", || Ok(((), vec![u8::from(received)])))?;
                said.iter().any(|said| said.first() == Some(&1))
            }
        };
        Ok(self.stops)
    }

    /// Saves a state as the checkpoint of `step`, and removes the checkpoints that no rule keeps. A whole checkpoint of that
    /// step is replaced, a damaged one is set aside.
    ///
    /// # Errors
    /// As [`Fabric::save`]; [`Error::Destination`] if a file or directory of the user has the checkpoint's name;
    /// [`Error::Retention`] if the checkpoint is saved, and another one could not be removed.
    pub fn save<S: Checkpoint + ?Sized>(
        &mut self,
        step: u64,
        state: &S,
        metrics: &[(&str, f64)],
    ) -> Result<SaveReport> {
        self.save_with(step, state, metrics, SaveOptions::new())
    }

    /// Saves a state as [`save`](Self::save) does, with options. A filter makes checkpoints that [`resume`](Self::resume) does
    /// not take.
    ///
    /// # Errors
    /// As [`save`](Self::save); as [`Fabric::save_with`]; [`Error::Options`] with [`Durability::Relaxed`].
    pub fn save_with<S: Checkpoint + ?Sized>(
        &mut self,
        step: u64,
        state: &S,
        metrics: &[(&str, f64)],
        options: SaveOptions,
    ) -> Result<SaveReport> {
        let (path, options) = self.prepare(step, metrics, options)?;
        let report = self.fabric.save_with(path, state, options)?;
        self.note_saved(step);
        Ok(report)
    }

    /// Saves a state in the background as the checkpoint of `step`, as [`Fabric::save_async`] does. The checkpoints that no rule
    /// keeps are removed in the background, when the new one is durable.
    ///
    /// # Errors
    /// As [`save`](Self::save) for all that is found before anything is written. [`wait`](Self::wait) and the next save return an
    /// error that is met later.
    pub fn save_async<S: Checkpoint + ?Sized>(&mut self, step: u64, state: &S, metrics: &[(&str, f64)]) -> Result<()> {
        self.save_async_with(step, state, metrics, SaveOptions::new())
    }

    /// Saves a state in the background as [`save_async`](Self::save_async) does, with options. With
    /// [`WhenBusy::Skip`](crate::WhenBusy::Skip) a save that is left out stays [due](Self::due).
    ///
    /// # Errors
    /// As [`save_async`](Self::save_async); as [`Fabric::save_async_with`]; [`Error::Options`] with [`Durability::Relaxed`].
    pub fn save_async_with<S: Checkpoint + ?Sized>(
        &mut self,
        step: u64,
        state: &S,
        metrics: &[(&str, f64)],
        options: SaveOptions,
    ) -> Result<()> {
        let (path, options) = self.prepare(step, metrics, options)?;
        let saving = self.fabric.save_async_with(path, state, options)?;
        if !saving.is_skipped() {
            self.note_saved(step);
        }
        saving.detach();
        Ok(())
    }

    fn note_saved(&mut self, step: u64) {
        self.last = Last {
            step,
            at: Instant::now(),
        };
    }

    /// Waits until the save in the background has ended and the checkpoints that no rule keeps are removed.
    ///
    /// # Errors
    /// As [`Fabric::wait`].
    pub fn wait(&mut self) -> Result<()> {
        self.fabric.wait()
    }

    /// The checkpoints of the run, in the order of their steps. A damaged one is not among them.
    ///
    /// # Errors
    /// If the storage fails, or a checkpoint was written by a newer version of this library.
    pub fn checkpoints(&self) -> Result<Vec<Kept>> {
        let mut kept = self.held.found()?.whole;
        kept.sort_by_key(|one| one.step);
        Ok(kept)
    }

    /// The checkpoint that was saved last; `None` if there is none.
    ///
    /// # Errors
    /// As [`checkpoints`](Self::checkpoints).
    pub fn latest(&self) -> Result<Option<Kept>> {
        Ok(self.held.found()?.whole.pop())
    }

    /// The checkpoint with the best value of a metric, which a rule of [`Keep::best`] names; `None` if no checkpoint has it.
    ///
    /// # Errors
    /// [`Error::Options`] if no rule names the metric; as [`checkpoints`](Self::checkpoints).
    pub fn best(&self, name: &str) -> Result<Option<Kept>> {
        let Some(metric) = self.held.keep.metric(name) else {
            return Err(Error::Options(format!(
                "no rule of this run says whether the lowest or the highest `{name}` is best: open the run with \
                 .keep(Keep::last(1).best(1, Metric::lowest({name:?})))"
            )));
        };
        let found = self.held.found()?;
        Ok(metric.sorted(&found.whole).next().cloned())
    }

    /// The path and the options of the save of a step.
    fn prepare(&mut self, step: u64, metrics: &[(&str, f64)], options: SaveOptions) -> Result<(PathBuf, SaveOptions)> {
        if options.durability != Durability::Durable {
            let what = "a run removes a checkpoint when a newer one survives a power failure: save it with Durability::Durable";
            return Err(Error::Options(what.to_owned()));
        }
        let path = self.held.directory.join(names::of(step));
        let make_room = || self.make_room(step, &path);
        let mut damaged = Marks::new();
        let next = match self.fabric.loading_ranks() {
            None => {
                let next;
                (next, damaged) = make_room()?;
                next
            }
            Some(ranks) => {
                let order = ranks.on_rank_zero("run: save", || {
                    let next;
                    (next, damaged) = make_room()?;
                    Ok(next.to_le_bytes().to_vec())
                })?;
                order.try_into().map_or(0, u64::from_le_bytes)
            }
        };
        self.order = next.max(self.order + 1);
        let facts = Facts {
            step,
            order: self.order,
            time: SystemTime::now(),
            metrics: metrics
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            host: self.host.clone(),
            damaged,
        };
        let held = self.held.clone();
        let is_first = self.fabric.rank() == 0;
        let after = move || if is_first { held.saved(step) } else { Ok(()) };
        Ok((path, options.of_run(facts.to_pairs()?, after)))
    }

    /// Sets a damaged checkpoint aside. Gives the order of the next checkpoint, and those that are known to be damaged.
    fn make_room(&self, step: u64, path: &std::path::Path) -> Result<(u64, Marks)> {
        // The name that the save takes is looked at anew.
        self.held.forget(step);
        let found = self.held.found_by_name()?;
        if found.strangers.iter().any(|(of, _)| *of == step) {
            let what = "something is there that no run has written, and a run does not replace it: move it, or use another \
                        directory";
            return Err(Error::destination(path, what));
        }
        if found.damaged.iter().any(|one| one.step == step) {
            self.set_aside(path)?;
        }
        Ok((found.next_order, found.marked()))
    }

    /// Gives a damaged checkpoint a name that nothing has.
    fn set_aside(&self, path: &std::path::Path) -> Result<()> {
        let storage = &self.held.storage;
        let mut aside = PathBuf::from(format!("{}{}", path.display(), names::DAMAGED));
        let mut count = 1;
        while storage.kind(&aside).map_err(Error::io("look at", &aside))?.is_some() {
            count += 1;
            aside = PathBuf::from(format!("{}{}-{count}", path.display(), names::DAMAGED));
        }
        storage.rename(path, &aside).map_err(Error::io("set aside", path))
    }
}
