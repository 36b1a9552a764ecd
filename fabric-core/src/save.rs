//! Carries out a save: rows of tensors become files beside the old ones, are made durable, and are put in their place.
//!
//! At every instant the path names the old checkpoint or the new one, complete; the order of the steps is argued in
//! `docs/design.md`. No module here knows ranks: `dist` decides which rows a rank writes, and calls these.

pub(crate) mod background;
pub(crate) mod claim;
pub(crate) mod contents;
pub(crate) mod file;
pub(crate) mod heading;
pub(crate) mod parts;
pub(crate) mod plan;
pub(crate) mod publish;
mod report;
pub(crate) mod site;
pub(crate) mod writing;

use std::path::Path;

use self::contents::Live;
use self::file::{Contents, FileWriter};
use self::heading::{Origin, heading, outermost};
use self::plan::{Wholes, plan, read};
use self::publish::publish;
pub use self::report::SaveReport;
use self::writing::{Watched, Writing};
use crate::absolute::Absolute;
use crate::device;
use crate::entry::Row;
use crate::error::Result;
use crate::options::SaveOptions;
use crate::phases::{Phase, Phases, is_anybody_listening};
use crate::progress::Callback;
use crate::state::AnyState;
use crate::storage::Storage;

/// The name of this library in manifests. For people; nothing depends on it.
pub(crate) const WRITER: &str = concat!("fabric-core ", env!("CARGO_PKG_VERSION"));

/// A save that is decided: of the state it needs nothing more than the bytes of its rows.
pub(crate) struct Decided {
    /// The tensors that this process writes, in the order of their bytes.
    pub(crate) rows: Vec<Row<Live>>,
    pub(crate) progress: Option<Callback>,
    pub(crate) commit: Commit,
}

/// Writes the files, and puts them in their place.
pub(crate) type Commit = Box<dyn FnOnce(&Destination<'_>, &dyn Contents) -> Result<SaveReport> + Send>;

/// Where a checkpoint goes.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'d> {
    pub(crate) storage: &'d dyn Storage,
    pub(crate) path: &'d Path,
    pub(crate) phases: &'d Phases,
}

/// Saves the rows that `decide` gives, and tells of it.
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
            let destination = Destination { storage, path, phases };
            if progress.is_none() {
                return commit(&destination, &rows);
            }
            let writing = Writing::new(&rows, progress);
            let contents = &rows;
            let outcome = commit(
                &destination,
                &Watched {
                    contents,
                    writing: &writing,
                },
            );
            writing.meter().unwind();
            outcome
        })
        .map_err(|error| absolute.named(error))
        .inspect(|report| phases.saved(report.bytes))
        .inspect_err(|error| phases.failed(error))
}

/// Decides a save of one process into one file. `before` comes first: if it fails, nothing is saved.
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
    // Not earlier: `before` may have waited for another save.
    let planning = phases.begin(Phase::Plan);
    let (progress, durability) = (options.progress.take(), options.durability);
    let mut plan = plan(&mut read(state)?, options, &Wholes::default())?;
    plan.share_values();
    settle(&plan.tensors)?;
    note_bytes(&planning, &plan.tensors);
    let manifest = heading(&plan, origin, outermost(state), Vec::new())?;
    let mut file = FileWriter::new(&plan.tensors, manifest, path)?;
    let report = plan.report(file.len(), Vec::new());
    let commit: Commit = Box::new(move |destination, contents| {
        publish(destination, durability, file.len(), |into, path| {
            file.write(contents, into, path)
        })?;
        Ok(report)
    });
    Ok(Decided {
        rows: plan.tensors,
        progress,
        commit,
    })
}

/// Waits until devices have done what they were given to do with the tensors.
pub(crate) fn settle(rows: &[Row<Live>]) -> Result<()> {
    device::settle(rows.iter().map(|row| (&*row.name, &row.bytes.tensor)))
}

/// Tells subscribers how many bytes will be written.
pub(crate) fn note_bytes(planning: &crate::phases::Timed<'_>, rows: &[Row<Live>]) {
    if is_anybody_listening() {
        planning.bytes(writing::bytes(rows));
    }
}
