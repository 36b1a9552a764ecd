//! The choices of a run, made before it is opened.

use std::path::PathBuf;

use super::every::Every;
use super::keep::Keep;
use super::{Run, opened};
use crate::error::Result;
use crate::fabric::Fabric;

/// The choices of a run. [`Run::at`] makes one, [`open`](Self::open) opens the run.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    pub(super) directory: PathBuf,
    pub(super) keep: Keep,
    pub(super) save_every: Option<Every>,
    pub(super) stops_on_signals: bool,
    pub(super) ask_every: u64,
    pub(super) host: bool,
    pub(super) log: bool,
}

impl Builder {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            keep: Keep::all(),
            save_every: None,
            stops_on_signals: false,
            ask_every: 1,
            host: false,
            log: false,
        }
    }

    /// Sets the rules by which checkpoints stay. By default all stay.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Sets the interval by which [`Run::due`] answers. By default no save is ever due.
    pub fn save_every(mut self, every: Every) -> Self {
        self.save_every = Some(every);
        self
    }

    /// Makes [`Run::stop_requested`] true after SIGTERM, SIGINT or SIGUSR1 (on Windows SIGTERM and Ctrl-C), which then no
    /// longer end the process while the run is open. A repeated signal does nothing, except for a second SIGINT at least two
    /// seconds after the first one, which ends the process.
    pub fn stop_on_signals(mut self) -> Self {
        self.stops_on_signals = true;
        self
    }

    /// Lets the ranks ask each other for signals at each `calls`-th call of [`Run::stop_requested`] only; the calls between
    /// answer `false`. By default they ask at every call. With one process the option changes nothing.
    pub fn ask_every(mut self, calls: u64) -> Self {
        self.ask_every = calls.max(1);
        self
    }

    /// Stores the name of the machine in each checkpoint.
    pub fn host(mut self) -> Self {
        self.host = true;
        self
    }

    /// Appends a line of JSON with the step, the time and the metrics of each save to `metrics.jsonl` in the directory of the
    /// run.
    pub fn log_metrics(mut self) -> Self {
        self.log = true;
        self
    }

    /// Opens the run. The directory is created if it is not there. The run holds `.run.lock` in it until it is dropped, and
    /// removes what a killed run left half written or half removed. Where several ranks save, all of them make this call.
    ///
    /// # Errors
    /// [`Error::RunInUse`](crate::Error::RunInUse) if another process holds the run; [`Error::Options`](crate::Error::Options)
    /// if a rule can keep nothing; if the storage fails, or the system takes no handler of signals.
    pub fn open(self, fabric: &Fabric) -> Result<Run> {
        opened::open(self, fabric)
    }
}

/// The name of this machine, if the system tells it.
#[cfg(fabric_linux)]
pub(super) fn host() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

/// The name of this machine, if the system tells it.
#[cfg(not(fabric_linux))]
pub(super) fn host() -> Option<String> {
    let by_file = || std::fs::read_to_string("/etc/hostname").ok();
    let name = ["COMPUTERNAME", "HOSTNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    let name = name.or_else(by_file)?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
