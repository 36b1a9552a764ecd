//! Which checkpoints a run keeps.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, Loaded, SaveOptions, Saving};
use indicatif::MultiProgress;

use crate::Result;
use crate::observing::bar;
use crate::trainer::{RunState, Task};

/// A directory with the last few checkpoints of a run, `step-00000120.ckpt`, and its best, `best.ckpt`.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    fabric: Fabric,
    directory: PathBuf,
    every: usize,
    keep: usize,
    bars: MultiProgress,
}

impl Checkpoints {
    /// A checkpoint every `every` steps, and the last `keep` of them, at least one.
    #[must_use]
    pub fn new(fabric: Fabric, directory: impl Into<PathBuf>, every: usize, keep: usize) -> Self {
        Self {
            fabric,
            directory: directory.into(),
            every: every.max(1),
            keep: keep.max(1),
            bars: MultiProgress::new(),
        }
    }

    /// Shows the progress of saves and loads among these bars.
    #[must_use]
    pub fn with_bars(mut self, bars: &MultiProgress) -> Self {
        self.bars = bars.clone();
        self
    }

    /// The bars of saves and loads, which others may join.
    #[must_use]
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Whether one is to be saved after this step.
    #[must_use]
    pub fn are_due(&self, step: usize) -> bool {
        step.is_multiple_of(self.every)
    }

    /// Where the best state is.
    #[must_use]
    pub fn best(&self) -> PathBuf {
        self.directory.join("best.ckpt")
    }

    /// The numbered checkpoints, the latest first.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn numbered(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            found.extend(step_of(&path).map(|step| (step, path)));
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found.into_iter().map(|(_, path)| path).collect())
    }

    /// Saves the state under its step, in the background. Give what this returns to [`settle`](Self::settle).
    ///
    /// # Errors
    /// If the save cannot begin, or an earlier one has failed.
    pub fn save<T: Task>(&self, state: &RunState<T>) -> Result<Saving> {
        self.begin(format!("step-{:08}.ckpt", state.step), state)
    }

    /// Saves the state as the best one, in the background. The last best is replaced in one step: there is always a
    /// complete one.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_best<T: Task>(&self, state: &RunState<T>) -> Result<Saving> {
        self.begin("best.ckpt".to_owned(), state)
    }

    fn begin<T: Task>(&self, name: String, state: &RunState<T>) -> Result<Saving> {
        let options = SaveOptions::new().progress(bar(&self.bars, "saves")?);
        let path = self.directory.join(name);
        Ok(self.fabric.save_async_with(path, state, options)?)
    }

    /// Waits for a save, and deletes the oldest checkpoints that are too many: only then is the new one sure to survive, and
    /// only files whose names this type gives are ever deleted.
    ///
    /// # Errors
    /// If the save has failed, or a deletion fails.
    pub fn settle(&self, saving: Saving) -> Result<()> {
        saving.wait()?;
        for old in self.numbered()?.iter().skip(self.keep) {
            fs::remove_file(old)?;
        }
        Ok(())
    }

    /// Restores the latest checkpoint, or the one before where a disk has damaged it; `None` if there is none.
    ///
    /// # Errors
    /// If a checkpoint does not match the state, or all are damaged.
    pub fn resume<S: Checkpoint>(&self, state: &mut S) -> Result<Option<Loaded>> {
        let mut damage = None;
        for path in self.numbered()? {
            // Verified before the first byte is written, so that a damaged one leaves nothing behind in the state.
            let options = LoadOptions::new().verify_first(true);
            let options = options.progress(bar(&self.bars, "loads")?);
            match self.fabric.load_with(&path, state, options) {
                Ok(loaded) => return Ok(Some(loaded)),
                Err(error @ (Error::Corrupt { .. } | Error::Checksum { .. } | Error::UnknownFormat { .. })) => {
                    eprintln!("{error}; trying the one before");
                    damage = damage.or(Some(error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        damage.map_or(Ok(None), |error| Err(error.into()))
    }
}

/// The step in a name that [`Checkpoints::save`] gives.
fn step_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix("step-")?.strip_suffix(".ckpt")?;
    digits.parse().ok()
}
