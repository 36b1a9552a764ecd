//! Carries out a save: a new file beside the old one, made durable, then renamed over it.
//!
//! At every instant the path names the old checkpoint or the new one, complete; the order of the steps below is what
//! `docs/design.md` argues.

pub(crate) mod publish;
mod read_out;
mod single_file;

use std::path::Path;

use crate::error::Result;
use crate::options::SaveOptions;
use crate::plan::save::plan;
use crate::state::{Checkpoint, Visitor, resolve};
use crate::storage::Storage;

/// What a save wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveReport {
    /// The entries in the file, tensors and values, each name counted.
    pub entries: usize,
    /// The length of the file in bytes.
    pub bytes: u64,
    /// The entries that filters left out, sorted. The file records them.
    pub filtered: Vec<String>,
}

/// Saves `state` to one file at `path`.
pub(crate) fn save<S: Checkpoint + ?Sized>(
    storage: &dyn Storage,
    path: &Path,
    state: &S,
    options: SaveOptions,
) -> Result<SaveReport> {
    let mut visitor = Visitor::new();
    state.visit(&mut visitor);
    let mut reading = resolve(visitor.finish())?;
    let durability = options.durability;
    let plan = plan(&mut reading, options)?;
    let mut image = single_file::Image::new(&reading, plan, S::VERSION, path)?;
    let len = image.report().bytes;
    publish::publish(storage, path, durability, len, |file, path| image.write(file, path))?;
    Ok(image.report())
}
