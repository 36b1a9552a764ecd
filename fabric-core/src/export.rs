//! Writes checkpoints for other programs: plain safetensors, and files that `torch.load` opens.
//!
//! Tensors go from file to file block by block, verified on the way. No more than a block of a tensor is in memory,
//! except where the source has it in columns: then it is put together first.

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
use crate::entry::{Region, TensorInfo};
use crate::error::{Error, Result};
use crate::raw::RawCheckpoint;
use crate::save::publish::publish;
use crate::source::read::stream;
use crate::source::{Part, StoredTensor};
use crate::storage::Storage;

/// Writes `raw`, or what the options choose of it, to `path`.
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
    match format {
        ExportFormat::Safetensors => {
            let image = safetensors::Image::new(&chosen)?;
            let len = image.report().bytes;
            publish(storage, path, options.durability, len, |file, path| {
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
            let image = torch::Image::new(&chosen, choices)?;
            let mut len = 0;
            publish(storage, path, options.durability, image.tensor_bytes(), |file, path| {
                len = image.write(file, path)?;
                Ok(())
            })?;
            Ok(image.report(len))
        }
    }
}

/// Hands the bytes of an entry to `put`: as many as its shape says, or it is an error.
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
    match rows(stored) {
        Some(parts) => {
            for part in &parts {
                stream(&*raw.source, entry, part, &mut take)?;
            }
        }
        None => stream(&*raw.source, entry, stored, take)?,
    }
    if stored.info.byte_len() == Some(len) {
        return Ok(());
    }
    let what = format!("entry `{entry}` is {}, and has {len} bytes", stored.info);
    Err(Error::corrupt(raw.origin(), what))
}

/// The parts of a tensor that is only cut along its first dimension, in their order, each a tensor by itself: one after
/// the other, they are its bytes.
fn rows(stored: &StoredTensor) -> Option<Vec<StoredTensor>> {
    let (_, inner) = stored.info.shape().split_first()?;
    let mut parts: Vec<&Part> = stored.parts.iter().collect();
    parts.sort_by_key(|part| part.region.offset[0]);
    let alone = |part: &Part| {
        let whole = part.region.size[1..] == *inner;
        whole.then(|| StoredTensor {
            info: TensorInfo::new(stored.info.dtype(), part.region.size.clone()),
            parts: vec![Part {
                region: Region::whole(&part.region.size),
                ..part.clone()
            }],
        })
    };
    parts.into_iter().map(alone).collect()
}
