//! Writes checkpoints for other programs: plain safetensors files, and files that `torch.load` opens.
//!
//! The export copies tensors from file to file block by block, and verifies each block. It holds a few blocks of one
//! tensor in memory.

mod object;
mod optimizer;
mod options;
mod pickle;
pub(super) mod safetensors;
mod state_dict;
mod torch;
mod zip;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub use options::{ExportFormat, ExportOptions, ExportReport};

use self::state_dict::Choices;
use crate::entry::DType;
use crate::error::{Error, Result};
use crate::load::cast::{self, Take};
use crate::load::raw::RawCheckpoint;
use crate::phases::Phases;
use crate::progress::{Callback, Meter};
use crate::save::CommitTarget;
use crate::save::publish::publish;
use crate::source::read::stream;
use crate::source::{Index, check_tensors};
use crate::storage::Storage;

/// Writes `raw`, or the entries that the options select, to `path`.
pub(crate) fn export(
    storage: &dyn Storage,
    raw: &RawCheckpoint,
    path: &Path,
    mut options: ExportOptions,
) -> Result<ExportReport> {
    let format = match options.format {
        Some(format) => format,
        None => ExportFormat::of(path)?,
    };
    let (chosen, index) = chosen(raw, options.subtree.as_deref(), options.dtype)?;
    let phases = Phases::of_export(raw.origin(), path);
    let copier = Copier::new(&chosen, options.progress.take());
    let target = CommitTarget {
        storage,
        path,
        phases: &phases,
    };
    let outcome = phases.within(|| write(&target, format, &index, &copier, &options));
    copier.meter.unwind();
    let mut report = outcome.inspect_err(|error| phases.failed(error))?;
    report.overflowed = copier.overflowed.into_inner().into_iter().collect();
    if !options.dry_run {
        phases.saved(report.bytes);
    }
    Ok(report)
}

/// The entries that the options select, and their index with the element types that they are to have.
pub(super) fn chosen(
    raw: &RawCheckpoint,
    subtree: Option<&str>,
    dtype: Option<DType>,
) -> Result<(RawCheckpoint, Arc<Index>)> {
    dtype.map(cast::check_target).transpose()?;
    let chosen = match subtree {
        Some(name) => raw.subtree(name),
        None => raw.clone(),
    };
    if chosen.is_empty() {
        return Err(match subtree {
            Some(name) => raw.no_subtree(name),
            None => Error::Options(format!("{} has no entries to export", raw.origin().display())),
        });
    }
    let index = converted(&chosen, dtype);
    check_tensors(&*raw.source, index.tensors.values())?;
    Ok((chosen, index))
}

/// The entries with the element types that they are to have.
fn converted(raw: &RawCheckpoint, dtype: Option<DType>) -> Arc<Index> {
    let casts = &raw.index.edits.casts;
    if dtype.is_none() && casts.is_empty() {
        return raw.index.clone();
    }
    let mut index = (*raw.index).clone();
    for (name, stored) in &mut index.tensors {
        stored.info = cast::converted(casts.get(name).unwrap_or(&stored.info), dtype);
    }
    Arc::new(index)
}

/// Writes the entries of an index, whose tensors have the element types that they are to have.
fn write(
    target: &CommitTarget<'_>,
    format: ExportFormat,
    index: &Index,
    copier: &Copier<'_>,
    options: &ExportOptions,
) -> Result<ExportReport> {
    match format {
        ExportFormat::Safetensors => {
            let image = safetensors::SafetensorsImage::new(index)?;
            let report = image.report();
            if !options.dry_run {
                copier.announce(index.tensors.keys());
                publish(target, options.durability, report.bytes, |file, path| {
                    image.write(copier, file, path)
                })?;
            }
            Ok(report)
        }
        ExportFormat::Torch => {
            let choices = Choices {
                bare: options.bare,
                subtree: options.subtree.is_some(),
                parameter_names: options.parameter_names,
            };
            let image = torch::TorchImage::new(index, &copier.raw.index, choices)?;
            if options.dry_run {
                return Ok(image.report(image.len()?));
            }
            copier.announce(image.entries());
            let mut len = 0;
            publish(target, options.durability, image.tensor_bytes(), |file, path| {
                len = image.write(copier, file, path)?;
                Ok(())
            })?;
            Ok(image.report(len))
        }
    }
}

/// Copies the bytes of entries.
pub(super) struct Copier<'a> {
    raw: &'a RawCheckpoint,
    pub(super) meter: Meter,
    /// The tensors with finite numbers that became infinite.
    pub(super) overflowed: RefCell<BTreeSet<String>>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(raw: &'a RawCheckpoint, progress: Option<Callback>) -> Self {
        Self {
            raw,
            meter: Meter::new(progress),
            overflowed: RefCell::default(),
        }
    }

    /// Announces the entries that will be copied.
    pub(super) fn announce<N: AsRef<str>>(&self, entries: impl IntoIterator<Item = N>) {
        let tensors = &self.raw.index.tensors;
        let stored = entries.into_iter().filter_map(|name| tensors.get(name.as_ref()));
        let lens = stored.map(|stored| stored.info.byte_len().unwrap_or_default() as u64);
        self.meter.announce(lens.sum());
    }

    /// Passes the bytes of an entry to `put`, in an element type. A number of bytes other than that of the shape is an error.
    pub(super) fn copy(&self, entry: &str, dtype: DType, put: &mut Take<'_>) -> Result<()> {
        let raw = self.raw;
        let Some(stored) = raw.index.tensors.get(entry) else {
            return Err(raw.no_such(entry));
        };
        let mut len = 0;
        let read = |take: &mut Take<'_>| {
            stream(&*raw.source, entry, stored, |bytes: &[u8]| {
                len += bytes.len();
                take(bytes)?;
                self.meter.add(entry, bytes.len() as u64)
            })
        };
        if cast::cast(entry, (stored.info.dtype(), dtype), read, put)? {
            self.overflowed.borrow_mut().insert(entry.to_owned());
        }
        if stored.info.byte_len() == Some(len) {
            return Ok(());
        }
        let what = format!("entry `{entry}` is {}, and has {len} bytes", stored.info);
        Err(Error::corrupt(raw.origin(), what))
    }
}
