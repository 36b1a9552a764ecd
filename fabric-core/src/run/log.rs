//! The metrics of a run as lines of JSON.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use super::found::Kept;
use crate::error::{Error, Result};
use crate::options::Durability;
use crate::phases::Phases;
use crate::save::CommitTarget;
use crate::save::publish::publish;
use crate::source::open::read_whole;
use crate::storage::Storage;

/// The file in the directory of a run.
const NAME: &str = "metrics.jsonl";

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
    let mut lines = match storage.open(&path) {
        Ok(file) => {
            let len = file.len().map_err(Error::io("look at", &path))?;
            read_whole(&*file, &path, 0, len)?
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
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
