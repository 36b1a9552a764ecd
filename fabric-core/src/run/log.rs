//! The metrics of a run as lines of JSON.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use super::found::Kept;
use crate::error::{Error, Result};
use crate::io::pages;
use crate::storage::Storage;

/// The file in the directory of a run.
const NAME: &str = "metrics.jsonl";

/// The file while a line is added to it.
const NEXT: &str = ".metrics.jsonl.next";

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
    let (path, next) = (directory.join(NAME), directory.join(NEXT));
    let mut lines = match storage.open(&path) {
        Ok(file) => {
            let len = file.len().map_err(Error::io("look at", &path))?;
            let mut lines =
                pages::zeroed(usize::try_from(len).unwrap_or(usize::MAX)).map_err(|source| Error::Memory {
                    purpose: format!("add a line to {}", path.display()),
                    source,
                })?;
            file.read_exact_at(&mut lines, 0).map_err(Error::io("read", &path))?;
            lines
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
    if lines.last().is_some_and(|last| *last != b'\n') {
        lines.push(b'\n');
    }
    lines.extend(line(saved));
    match storage.remove_file(&next) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", &next)(error)),
        _ => {}
    }
    let write = || {
        let mut file = storage.create_like(&next, &path)?;
        file.write_all(&lines)?;
        file.sync()?;
        storage.rename(&next, &path)
    };
    write().map_err(Error::io("write", &path))
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
