//! The checkpoints of a run: a [`Run`] of the library, with bars.

use std::path::{Path, PathBuf};

use fabric_core::run::{Every, Keep, Kept, Metric, Resumed, Run};
use fabric_core::{Checkpoint, Fabric, LoadOptions, SaveOptions};
use indicatif::MultiProgress;

use crate::Result;
use crate::observing::bar;
use crate::trainer::{RunState, Task};

/// The metric of the validation, as the checkpoints name it.
const METRIC: &str = "val_loss";

/// A directory with the last few checkpoints of a run, `step-000000120.ckpt`, and the best one.
#[derive(Debug)]
pub struct Checkpoints {
    run: Run,
    bars: MultiProgress,
}

impl Checkpoints {
    /// A checkpoint every `every` steps, of which the last `keep` and the best stay. A signal asks the training to save and to
    /// end.
    ///
    /// # Errors
    /// If another process trains in the directory.
    pub fn open(fabric: &Fabric, directory: impl Into<PathBuf>, every: u64, keep: usize) -> Result<Self> {
        let run = Run::at(directory)
            .keep(Keep::last(keep).best(1, Metric::lowest(METRIC)))
            .save_every(Every::steps(every))
            .stop_on_signals()
            .open(fabric)?;
        Ok(Self {
            run,
            bars: MultiProgress::new(),
        })
    }

    /// Shows the progress of saves and loads among these bars.
    #[must_use]
    pub fn with_bars(mut self, bars: &MultiProgress) -> Self {
        self.bars = bars.clone();
        self
    }

    /// Returns true if a checkpoint is due after this step.
    #[must_use]
    pub fn are_due(&self, step: u64) -> bool {
        self.run.due(step)
    }

    /// Returns true if a signal has asked the training to end.
    ///
    /// # Errors
    /// If the ranks of a group do not come together.
    pub fn stop_requested(&mut self) -> Result<bool> {
        Ok(self.run.stop_requested()?)
    }

    /// The checkpoints, in the order of their steps.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn kept(&self) -> Result<Vec<Kept>> {
        Ok(self.run.checkpoints()?)
    }

    /// The path of the best checkpoint.
    ///
    /// # Errors
    /// If the directory cannot be read, or no checkpoint has a metric yet.
    pub fn best(&self) -> Result<PathBuf> {
        let best = self.run.best(METRIC)?;
        Ok(best.ok_or("no checkpoint has been validated yet")?.path)
    }

    /// Saves the state under its step, in the background, with the validation metric of this step if there is one. The
    /// checkpoints that no rule keeps go when the new one is durable.
    ///
    /// # Errors
    /// If the save cannot begin, or an earlier one has failed.
    pub fn save<T: Task>(&mut self, state: &RunState<T>, metric: Option<f32>) -> Result<()> {
        let options = SaveOptions::new().progress(bar(&self.bars, "saves")?);
        let metrics: Vec<(&str, f64)> = metric.map(|metric| (METRIC, f64::from(metric))).into_iter().collect();
        Ok(self.run.save_async_with(state.step, state, &metrics, options)?)
    }

    /// Waits for the save that is on its way.
    ///
    /// # Errors
    /// If it has failed.
    pub fn wait(&mut self) -> Result<()> {
        Ok(self.run.wait()?)
    }

    /// Restores the newest checkpoint that is whole; `None` if there is no checkpoint.
    ///
    /// # Errors
    /// If it does not match the state, or all checkpoints are damaged.
    pub fn resume<S: Checkpoint>(&mut self, state: &mut S) -> Result<Option<Resumed>> {
        let options = LoadOptions::new().progress(bar(&self.bars, "loads")?);
        let resumed = self.run.resume_with(state, options)?;
        for (path, error) in resumed.iter().flat_map(|resumed| &resumed.skipped) {
            eprintln!("{error}; {} is passed over", name(path));
        }
        Ok(resumed)
    }
}

/// The name of a checkpoint's file.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
