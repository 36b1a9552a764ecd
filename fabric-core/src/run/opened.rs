//! Opening a run: its directory, its lock, and the leftovers of processes that were killed.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::builder::{Builder, host};
use super::every::Last;
use super::lock::RunLock;
use super::retention::RunDirectory;
use super::signals::Signals;
use super::{Run, names};
use crate::error::{Error, Result};
use crate::fabric::Fabric;
use crate::save::removal;
use crate::storage::Storage;

/// # Errors
/// As [`Builder::open`].
pub(super) fn open(builder: Builder, fabric: &Fabric) -> Result<Run> {
    let Builder {
        directory,
        keep,
        save_every,
        stops_on_signals,
        ask_every,
        host: names_host,
        log,
    } = builder;
    let storage = fabric.storage();
    let directory = fabric.absolute(&directory).path()?.to_path_buf();
    let prepare = || -> Result<RunLock> {
        keep.check()?;
        storage
            .create_dir_all(&directory)
            .map_err(Error::io("create", &directory))?;
        let lock = RunLock::take(storage, &directory)?;
        sweep(&**storage, &directory)?;
        Ok(lock)
    };
    let signals = || {
        let signals = stops_on_signals.then(Signals::listen).transpose();
        signals.map_err(Error::io("listen to signals for", &directory))
    };
    let (lock, signals) = match fabric.loading_ranks() {
        None => (Some(prepare()?), signals()?),
        Some(ranks) => ranks.together("run: open", || {
            let lock = (ranks.rank() == 0).then(prepare).transpose()?;
            Ok((lock, signals()?))
        })?,
    };
    Ok(Run {
        fabric: fabric.clone(),
        held: Arc::new(RunDirectory::new(storage.clone(), directory, keep, log, lock)),
        save_every,
        signals,
        stops: false,
        ask_every,
        asked: 0,
        host: if names_host { host() } else { None },
        last: Last {
            step: 0,
            at: Instant::now(),
        },
        order: 0,
    })
}

/// Removes what killed saves and removals left beside the checkpoints.
fn sweep(storage: &dyn Storage, directory: &Path) -> Result<()> {
    let names = storage.list(directory).map_err(Error::io("list", directory))?;
    let hidden = names.iter().filter_map(|name| {
        // `.step-000000500.ckpt.<token>.partial`
        let (checkpoint, _) = name.strip_prefix('.')?.rsplit_once('.')?.0.rsplit_once('.')?;
        names::step(checkpoint).map(|_| checkpoint)
    });
    let checkpoints: std::collections::BTreeSet<&str> = hidden.collect();
    for checkpoint in checkpoints {
        removal::sweep(storage, &directory.join(checkpoint))?;
    }
    Ok(())
}
