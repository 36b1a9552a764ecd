//! Payloads: archives of `torch.save`, one after the other in `.distcp` files, one for each chunk or object.

use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::source::pickle::Pickle;
use crate::source::torch::{self, Storages};
use crate::source::window::Slice;
use crate::source::{Part, Place, StoredTensor};
use crate::storage::ReadFile;

/// What is read at the start of a payload: its pickle, and the headers in front of the data.
const HEAD: u64 = 4096;

/// What is read at its end: the members behind the data, and the directory.
const TAIL: u64 = 2048;

/// Reads the framing of a payload: two small reads, or a single one if it is small altogether.
pub(super) fn read(file: &dyn ReadFile, path: &Path, payload: Place) -> Result<(Pickle, Storages)> {
    let edges = Edges::read(file, payload).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::corrupt(path, "it ends inside a payload"),
        _ => Error::io("read", path)(error),
    })?;
    let slice = Slice {
        file: &edges,
        start: payload.start,
        len: payload.len,
    };
    torch::archive(slice, payload.file, path)
}

/// Finds the bytes of a chunk, whose payload must hold what `.metadata` says of it.
pub(super) fn locate(
    file: &dyn ReadFile,
    path: &Path,
    entry: &str,
    tensor: &StoredTensor,
    chunk: &Part,
) -> Result<Part> {
    let (pickle, storages) = read(file, path, chunk.place)?;
    let say = |what: String| Error::corrupt(path, format!("entry `{entry}`, chunk {}: {what}", chunk.region));
    let found = torch::only_tensor(&pickle, &storages).map_err(say)?;
    if found.info.dtype() != tensor.info.dtype() || found.info.shape() != chunk.region.size {
        return Err(say(format!(
            "the payload is {}, and `.metadata` says {} {:?}",
            found.info,
            tensor.info.dtype(),
            chunk.region.size
        )));
    }
    let part = found.parts.into_iter().next();
    let part = part.ok_or_else(|| say("the payload has no bytes".into()))?;
    Ok(Part {
        region: chunk.region.clone(),
        ..part
    })
}

/// A file with both ends of a payload at hand.
#[derive(Debug)]
struct Edges<'f> {
    file: &'f dyn ReadFile,
    runs: [(u64, Vec<u8>); 2],
}

impl<'f> Edges<'f> {
    fn read(file: &'f dyn ReadFile, payload: Place) -> io::Result<Self> {
        let (head, tail) = if payload.len <= HEAD + TAIL {
            (payload.len, 0)
        } else {
            (HEAD, TAIL)
        };
        let run = |start: u64, len: u64| {
            // Both are at most `HEAD + TAIL`.
            let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
            file.read_exact_at(&mut bytes, start).map(|()| (start, bytes))
        };
        let runs = [
            run(payload.start, head)?,
            run(payload.start + payload.len - tail, tail)?,
        ];
        Ok(Self { file, runs })
    }
}

impl ReadFile for Edges<'_> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        for (start, bytes) in &self.runs {
            let from = offset.checked_sub(*start).and_then(|from| usize::try_from(from).ok());
            if let Some(held) = from.and_then(|from| bytes.get(from..)).filter(|held| !held.is_empty()) {
                let len = held.len().min(into.len());
                into[..len].copy_from_slice(&held[..len]);
                return Ok(len);
            }
        }
        self.file.read_at(into, offset)
    }
}
