//! A run as a reader sees it, who takes no lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::decision::{Decision, decide};
use super::found::{Damaged, Found, Kept};
use super::keep::{Keep, Metric};
use super::lock;
use super::log::{Logged, read_log};
use crate::error::{Error, Result};
use crate::fabric::Fabric;
use crate::storage::Storage;

/// The checkpoints of a run at one instant, read by [`list`] without the lock of the run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listing {
    /// The directory of the run.
    pub directory: PathBuf,
    /// The checkpoints, in the order of their steps.
    pub checkpoints: Vec<Kept>,
    /// The checkpoints that cannot be read, or that a resume found damaged, in the order of their steps.
    pub damaged: Vec<Damaged>,
    /// The lines of `metrics.jsonl`, in their order; empty if the run [logs](super::Builder::log_metrics) no metrics.
    pub log: Vec<Logged>,
    /// True if the lock of a run is there: a process has the run open, or was killed while it had.
    pub has_lock: bool,
}

/// Lists a run without its lock, while a training may save into it: the head of each checkpoint is read, and no tensor.
/// Damaged checkpoints are listed with the error of reading them, and those that a run removes meanwhile are left out.
/// Where several ranks save, each rank may make this call by itself.
///
/// ```
/// use fabric_core::Fabric;
/// use fabric_core::run::{self, Keep, Metric};
/// # use candle_core::{DType, Device, Var};
/// # use fabric_core::Checkpoint;
/// # #[derive(Checkpoint)]
/// # struct State { weight: Var }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path().join("gpt");
/// # let mut run = run::Run::at(&directory).open(&Fabric::new())?;
/// # let state = State { weight: Var::zeros(3, DType::F32, &Device::Cpu)? };
/// # for (step, loss) in [(500, 0.5), (1000, 0.25), (1500, 0.75)] {
/// #     run.save(step, &state, &[("val_loss", loss)])?;
/// # }
/// let listing = run::list(&Fabric::new(), &directory)?;
/// for kept in &listing.checkpoints {
///     println!("{}: {} bytes, {:?}", kept.step, kept.bytes, kept.metrics.get("val_loss"));
/// }
/// assert_eq!(listing.latest().map(|kept| kept.step), Some(1500));
/// assert_eq!(listing.best(&Metric::lowest("val_loss")).map(|kept| kept.step), Some(1000));
///
/// let decisions = listing.decide(&Keep::last(1).best(1, Metric::lowest("val_loss")))?;
/// let goes: Vec<u64> = decisions.iter().filter(|one| !one.stays()).map(|one| one.checkpoint.step).collect();
/// assert_eq!(goes, [500]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::NotFound`] if no directory is there; if the storage fails, or a checkpoint was written by a newer version of this
/// library.
pub fn list(fabric: &Fabric, directory: impl AsRef<Path>) -> Result<Listing> {
    let storage = fabric.storage();
    let absolute = fabric.absolute(directory.as_ref());
    let directory = absolute.path()?.to_path_buf();
    list_in(&**storage, directory).map_err(|error| absolute.named(error))
}

fn list_in(storage: &dyn Storage, directory: PathBuf) -> Result<Listing> {
    let kind = storage.kind(&directory).map_err(Error::io("look at", &directory))?;
    if kind.is_none() {
        return Err(Error::NotFound {
            path: directory,
            hint: "a run is a directory that `Run::at` has made".to_owned(),
        });
    }
    let Found { whole, damaged, .. } = Found::within(storage, &directory, &BTreeMap::new())?;
    let mut listing = Listing {
        checkpoints: whole,
        damaged,
        log: read_log(storage, &directory)?,
        has_lock: lock::is_there(storage, &directory)?,
        directory,
    };
    listing.checkpoints.sort_by_key(|one| one.step);
    listing.damaged.sort_by_key(|one| one.step);
    Ok(listing)
}

impl Listing {
    /// Returns true if a run has left anything in the directory: a checkpoint, a log or a lock.
    #[must_use]
    pub fn is_run(&self) -> bool {
        self.has_lock || !(self.checkpoints.is_empty() && self.damaged.is_empty() && self.log.is_empty())
    }

    /// The checkpoint that was saved last; `None` if there is none.
    #[must_use]
    pub fn latest(&self) -> Option<&Kept> {
        self.checkpoints.iter().max_by_key(|one| one.order)
    }

    /// The checkpoint with the best value of a metric; `None` if no checkpoint has the metric.
    #[must_use]
    pub fn best(&self, metric: &Metric) -> Option<&Kept> {
        let best = metric.sorted(&self.saved()).next().map(|one| one.step)?;
        self.checkpoints.iter().find(|one| one.step == best)
    }

    /// The decisions of rules about the checkpoints, in the order of their steps. Damaged checkpoints count for no rule, and
    /// are not among them.
    ///
    /// # Errors
    /// [`Error::Options`] if a rule can keep nothing, or two rules disagree about a metric.
    pub fn decide(&self, keep: &Keep) -> Result<Vec<Decision>> {
        keep.check()?;
        let mut decisions = decide(keep, &self.saved());
        decisions.sort_by_key(|one| one.checkpoint.step);
        Ok(decisions)
    }

    /// The values of a metric by their steps, from the log and from the checkpoints. If a step was saved more than once, its
    /// last value counts.
    #[must_use]
    pub fn curve(&self, metric: &str) -> BTreeMap<u64, f64> {
        let logged = self.log.iter().map(|line| (line.step, &line.metrics));
        let stored = self.checkpoints.iter().map(|one| (one.step, &one.metrics));
        let values = logged.chain(stored);
        values
            .filter_map(|(step, metrics)| Some((step, *metrics.get(metric)?)))
            .collect()
    }

    /// The checkpoints in the order in which they were saved.
    fn saved(&self) -> Vec<Kept> {
        let mut saved = self.checkpoints.clone();
        saved.sort_by_key(|one| one.order);
        saved
    }
}
