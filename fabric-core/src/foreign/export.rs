//! Writes checkpoints for other programs: plain safetensors files, and files that `torch.load` opens.
//!
//! The export copies tensors from file to file block by block, and verifies each block. It holds a few blocks of one
//! tensor in memory.

mod object;
mod optimizer;
mod options;
mod pickle;
mod safetensors;
mod state_dict;
mod torch;
mod zip;

use std::path::Path;

pub use options::{ExportFormat, ExportOptions, ExportReport};

use self::state_dict::Choices;
use crate::error::{Error, Result};
use crate::load::raw::RawCheckpoint;
use crate::phases::Phases;
use crate::save::CommitTarget;
use crate::save::publish::publish;
use crate::source::read::stream;
use crate::source::{StoredTensor, check_tensors};
use crate::storage::Storage;

/// Writes `raw`, or the entries that the options select, to `path`.
pub(crate) fn export(
    storage: &dyn Storage,
    raw: &RawCheckpoint,
    path: &Path,
    options: &ExportOptions,
) -> Result<ExportReport> {
    let format = match options.format {
        Some(format) => format,
        None => ExportFormat::of(path)?,
    };
    let chosen = match &options.subtree {
        Some(name) => raw.subtree(name),
        None => raw.clone(),
    };
    if chosen.is_empty() {
        return Err(match &options.subtree {
            Some(name) => raw.no_such(name),
            None => Error::Options(format!("{} has no entries to export", raw.origin().display())),
        });
    }
    check_tensors(&*raw.source, chosen.index.tensors.values())?;
    let phases = Phases::of_export(raw.origin(), path);
    let destination = CommitTarget {
        storage,
        path,
        phases: &phases,
    };
    phases
        .within(|| match format {
            ExportFormat::Safetensors => {
                let image = safetensors::SafetensorsImage::new(&chosen)?;
                let len = image.report().bytes;
                publish(&destination, options.durability, len, |file, path| {
                    image.write(file, path)
                })?;
                Ok(image.report())
            }
            ExportFormat::Torch => {
                let choices = Choices {
                    bare: options.bare,
                    subtree: options.subtree.is_some(),
                    parameter_names: options.parameter_names,
                };
                let image = torch::TorchImage::new(&chosen, choices)?;
                let mut len = 0;
                publish(&destination, options.durability, image.tensor_bytes(), |file, path| {
                    len = image.write(file, path)?;
                    Ok(())
                })?;
                Ok(image.report(len))
            }
        })
        .inspect(|report: &ExportReport| phases.saved(report.bytes))
        .inspect_err(|error| phases.failed(error))
}

/// Passes the bytes of an entry to `put`. A number of bytes other than that of the shape is an error.
fn copy(
    raw: &RawCheckpoint,
    entry: &str,
    stored: &StoredTensor,
    put: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut len = 0;
    let mut take = |bytes: &[u8]| {
        len += bytes.len();
        put(bytes)
    };
    stream(&*raw.source, entry, stored, &mut take)?;
    if stored.info.byte_len() == Some(len) {
        return Ok(());
    }
    let what = format!("entry `{entry}` is {}, and has {len} bytes", stored.info);
    Err(Error::corrupt(raw.origin(), what))
}
