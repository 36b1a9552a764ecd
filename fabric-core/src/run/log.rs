//! The metrics of a run as lines of JSON.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::found::Kept;
use crate::error::{Error, Result};
use crate::options::Durability;
use crate::phases::Phases;
use crate::save::CommitTarget;
use crate::save::publish::publish;
use crate::source::open::read_whole;
use crate::storage::{FileKind, Storage};

/// The file in the directory of a run.
const NAME: &str = "metrics.jsonl";

/// A line of `metrics.jsonl`, which a run writes after each save if [`Builder::log_metrics`](super::Builder::log_metrics) asks
/// for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Logged {
    /// The step of the save.
    pub step: u64,
    /// The time of the save, by the clock of the machine that saved.
    pub time: SystemTime,
    /// The metrics. A metric that was NaN or infinite is NaN: JSON has neither.
    pub metrics: BTreeMap<String, f64>,
}

/// A line of the file. JSON has no NaN and no infinity: such a metric is `null`.
#[derive(Serialize)]
struct Line<'k> {
    step: u64,
    /// Seconds since 1970, UTC.
    time: f64,
    metrics: BTreeMap<&'k str, Option<f64>>,
}

/// Adds a line for a checkpoint. The file is replaced as a whole, so a crash leaves the old one or the new one.
///
/// # Errors
/// If the storage fails.
pub(super) fn append(storage: &dyn Storage, directory: &Path, saved: &Kept) -> Result<()> {
    let path = directory.join(NAME);
    let mut lines = contents(storage, &path)?;
    if lines.last().is_some_and(|last| *last != b'\n') {
        lines.push(b'\n');
    }
    lines.extend(line(saved));
    let phases = Phases::of_save(&path, 0, false);
    let target = CommitTarget {
        storage,
        path: &path,
        phases: &phases,
    };
    publish(&target, Durability::Durable, lines.len() as u64, |file, path| {
        file.write_all(&lines).map_err(Error::io("write", path))
    })
    .map(drop)
}

fn line(saved: &Kept) -> Vec<u8> {
    let since = saved.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let metrics = saved.metrics.iter();
    let line = Line {
        step: saved.step,
        time: since.as_secs_f64(),
        metrics: metrics
            .map(|(name, value)| (name.as_str(), value.is_finite().then_some(*value)))
            .collect(),
    };
    // Numbers and texts always have a form in JSON.
    let mut line = serde_json::to_vec(&line).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The lines of the log of a run, in their order. Lines that no run has written are passed over.
///
/// # Errors
/// If the storage fails.
pub(super) fn read_log(storage: &dyn Storage, directory: &Path) -> Result<Vec<Logged>> {
    #[derive(Deserialize)]
    struct Line {
        step: u64,
        time: f64,
        metrics: BTreeMap<String, Option<f64>>,
    }
    let path = directory.join(NAME);
    if storage.kind(&path).map_err(Error::io("look at", &path))? != Some(FileKind::File) {
        return Ok(Vec::new());
    }
    let text = contents(storage, &path)?;
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok());
    let logged = lines.filter_map(|Line { step, time, metrics }| {
        let since = Duration::try_from_secs_f64(time).ok()?;
        let metrics = metrics.into_iter();
        Some(Logged {
            step,
            time: SystemTime::UNIX_EPOCH.checked_add(since)?,
            metrics: metrics.map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect(),
        })
    });
    Ok(logged.collect())
}

/// The bytes of the log; none if there is no log.
fn contents(storage: &dyn Storage, path: &Path) -> Result<Vec<u8>> {
    match storage.open(path) {
        Ok(file) => {
            let len = file.len().map_err(Error::io("look at", path))?;
            read_whole(&*file, path, 0, len)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("open", path)(error)),
    }
}
