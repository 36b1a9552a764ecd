//! Saving: rows of tensors become files beside the old ones, are made durable, and replace the old ones.
//!
//! At every instant the path names the old checkpoint or the new one, complete; `docs/design.md` has the argument for
//! the order of the steps. No module here knows ranks: `dist` decides which rows a rank writes, and calls these
//! modules.

pub(crate) mod background;
pub(crate) mod contents;
pub(crate) mod destination;
pub(crate) mod file;
pub(crate) mod manifest;
pub(crate) mod own_files;
pub(crate) mod plan;
pub(crate) mod publish;
pub(crate) mod removal;
mod report;
pub(crate) mod save_lock;
pub(crate) mod write_progress;

use std::path::Path;

use self::contents::LiveTensor;
use self::file::{Contents, FileWriter};
use self::manifest::Origin;
use self::plan::{WholeShapes, list_entries, plan};
use self::publish::publish;
pub use self::report::SaveReport;
use self::write_progress::{ProgressContents, WriteProgress};
use crate::absolute::Absolute;
use crate::device;
use crate::entry::Row;
use crate::error::Result;
use crate::options::{After, SaveOptions};
use crate::phases::{Phase, Phases, is_anybody_listening};
use crate::progress::Callback;
use crate::state::AnyState;
use crate::storage::Storage;

/// The name of this library in manifests, for people: no code depends on it.
pub(crate) const WRITER: &str = concat!("fabric-core ", env!("CARGO_PKG_VERSION"));

/// A decided save: of the state it needs only the bytes of its rows.
pub(crate) struct Decided {
    /// The tensors that this process writes, in the order of their bytes.
    pub(crate) rows: Vec<Row<LiveTensor>>,
    pub(crate) progress: Option<Callback>,
    pub(crate) commit: Commit,
}

/// Writes the files and commits them.
pub(crate) type Commit = Box<dyn FnOnce(&CommitTarget<'_>, &dyn Contents) -> Result<SaveReport> + Send>;

/// The target of a commit.
#[derive(Clone, Copy)]
pub(crate) struct CommitTarget<'d> {
    pub(crate) storage: &'d dyn Storage,
    pub(crate) path: &'d Path,
    pub(crate) phases: &'d Phases,
}

/// Saves the rows that `decide` gives, and records the result in the span of the save.
pub(crate) fn save(
    storage: &dyn Storage,
    absolute: &Absolute,
    phases: &Phases,
    decide: impl FnOnce() -> Result<Decided>,
) -> Result<SaveReport> {
    phases
        .within(|| {
            let Decided { rows, progress, commit } = decide()?;
            let path = absolute.path()?;
            let target = CommitTarget { storage, path, phases };
            if progress.is_none() {
                return commit(&target, &rows);
            }
            let write_progress = WriteProgress::new(&rows, progress);
            let contents = &rows;
            let outcome = commit(
                &target,
                &ProgressContents {
                    contents,
                    write_progress: &write_progress,
                },
            );
            write_progress.meter().unwind();
            outcome
        })
        .map_err(|error| absolute.named(error))
        .inspect(|report| phases.saved(report.bytes))
        .inspect_err(|error| phases.failed(error))
}

/// Decides a save of one process into one file. If `before` fails, nothing is saved.
pub(crate) fn decide(
    phases: &Phases,
    absolute: &Absolute,
    state: &dyn AnyState,
    mut options: SaveOptions,
    origin: Origin,
    before: impl FnOnce() -> Result<()>,
) -> Result<Decided> {
    let path = absolute.path()?;
    before()?;
    // The phase begins here, because `before` may have waited for another save.
    let planning = phases.begin(Phase::Plan);
    let (progress, durability) = (options.progress.take(), options.durability);
    let after = options.after.take().map(|After(after)| move || after());
    let mut plan = plan(&mut list_entries(state)?, options, &WholeShapes::default())?;
    plan.share_values();
    synchronize_devices(&plan.tensors)?;
    note_bytes(&planning, &plan.tensors);
    let mut report = plan.report();
    let rows = std::mem::take(&mut plan.tensors);
    let manifest = plan.into_manifest(origin, Vec::new());
    let mut file = FileWriter::new(&rows, manifest, path)?;
    report.bytes = file.len();
    let commit: Commit = Box::new(move |target, contents| {
        publish(target, durability, file.len(), |into, path| {
            file.write(contents, into, path)
        })?;
        Ok(report)
    });
    let commit = followed_by(commit, after);
    Ok(Decided { rows, progress, commit })
}

/// A commit with the work of a run after it.
pub(crate) fn followed_by(commit: Commit, after: Option<impl FnOnce() -> Result<()> + Send + 'static>) -> Commit {
    match after {
        None => commit,
        Some(after) => Box::new(move |target, contents| {
            let report = commit(target, contents)?;
            after().map(|()| report)
        }),
    }
}

/// Waits until the devices have finished their work on the tensors.
pub(crate) fn synchronize_devices<'r>(rows: impl IntoIterator<Item = &'r Row<LiveTensor>>) -> Result<()> {
    device::synchronize(rows.into_iter().map(|row| (&*row.name, &row.bytes.tensor)))
}

/// Records in the span how many bytes will be written.
pub(crate) fn note_bytes(planning: &crate::phases::Timed<'_>, rows: &[Row<LiveTensor>]) {
    if is_anybody_listening() {
        planning.bytes(write_progress::bytes(rows));
    }
}
