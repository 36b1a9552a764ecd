//! Reads payloads: `torch.save` archives, one for each chunk or object, one after the other in `.distcp` files.

#[cfg(test)]
#[cfg(fabric_repository)]
mod tests;

use std::io;
use std::path::Path;

use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::foreign::pickle::Pickle;
use crate::foreign::torch::{self, Storages};
use crate::io::pages;
use crate::source::refused::Refused;
use crate::source::window::{CachedBytes, Slice};
use crate::source::{Extent, Part, ReadLimit, StoredTensor};
use crate::storage::ReadFile;

/// The number of bytes read at the start of a payload: the pickle, and the headers before the data.
const HEAD: u64 = 4096;

/// The number of bytes read at the end of a payload: the members after the data, and the directory.
const TAIL: u64 = 2048;

/// Reads `len` bytes of a file. Callers pass small numbers.
fn read_run(file: &dyn ReadFile, path: &Path, start: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let len = usize::try_from(len).unwrap_or_default();
    pages::resize(&mut bytes, len).map_err(Error::io("read", path))?;
    file.read_exact_at(&mut bytes, start)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::corrupt(path, "it ends inside a payload"),
            _ => Error::io("read", path)(error),
        })?;
    Ok(bytes)
}

/// Reads the framing of a payload: its two ends, or all of a small payload.
fn with_framing<T>(
    file: &dyn ReadFile,
    path: &Path,
    payload: Extent,
    parse: impl FnOnce(Slice<'_>) -> Result<T>,
) -> Result<T> {
    let Extent { start, len, .. } = payload;
    let is_small = len <= HEAD + TAIL;
    let head = read_run(file, path, start, if is_small { len } else { HEAD })?;
    let tail_start = start + len.saturating_sub(TAIL);
    let tail = if is_small {
        Vec::new()
    } else {
        read_run(file, path, tail_start, TAIL)?
    };
    let held = |start, bytes| CachedBytes { start, bytes };
    parse(Slice {
        file,
        start,
        len,
        held: [held(start, &head), held(tail_start, &tail)],
    })
}

/// Reads the pickle of a payload, and the places of its storages.
pub(crate) fn read(file: &dyn ReadFile, path: &Path, payload: Extent, limit: ReadLimit) -> Result<(Pickle, Storages)> {
    with_framing(file, path, payload, |slice| {
        torch::archive(slice, payload.file, path, limit)
    })
}

/// Finds the bytes of a chunk. The payload must agree with `.metadata`.
pub(crate) fn locate(
    (file, path): (&dyn ReadFile, &Path),
    (entry, tensor): (&str, &StoredTensor),
    chunk: &Part,
    limit: ReadLimit,
) -> Result<Part> {
    let say = |refused: Refused| {
        let in_chunk = |what| format!("entry `{entry}`, chunk {}: {what}", chunk.region);
        refused.said(in_chunk).at(path)
    };
    let (pickle, storages) = read(file, path, chunk.place, limit)?;
    let found = torch::only_tensor(&pickle, &storages).map_err(say)?;
    agrees(&found.info, tensor, chunk).map_err(say)?;
    let part = found.parts.into_iter().next();
    let part = part.ok_or_else(|| say("the payload has no bytes".into()))?;
    Ok(Part {
        region: chunk.region.clone(),
        ..part
    })
}

/// Compares the tensor in a payload with its description in `.metadata`.
fn agrees(found: &TensorInfo, tensor: &StoredTensor, chunk: &Part) -> Result<(), Refused> {
    let dtype = tensor.info.dtype();
    if found.dtype() == dtype && found.shape() == chunk.region.size {
        return Ok(());
    }
    let size = &chunk.region.size;
    Err(format!("the payload is {found}, and `.metadata` says {dtype} {size:?}").into())
}
