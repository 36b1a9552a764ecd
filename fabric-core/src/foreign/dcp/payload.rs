//! Payloads: archives of `torch.save`, one after the other in `.distcp` files, one for each chunk or object.

#[cfg(test)]
#[cfg(fabric_repository)]
mod tests;

use std::io;
use std::path::Path;

use super::alike::Model;
use crate::entry::TensorInfo;
use crate::error::{Error, Result};
use crate::foreign::pickle::Pickle;
use crate::foreign::torch::{self, Storages};
use crate::io::pages;
use crate::source::refused::Refused;
use crate::source::window::{Held, Slice};
use crate::source::{Part, Place, ReadLimit, StoredTensor};
use crate::storage::ReadFile;

/// What is read at the start of a payload: its pickle, and the headers in front of the data.
const HEAD: u64 = 4096;

/// What is read at its end: the members behind the data, and the directory.
const TAIL: u64 = 2048;

/// Payloads up to this length are read as a whole.
pub(crate) const SMALL: u64 = HEAD + TAIL;

/// Some bytes of a file.
#[derive(Debug, Default)]
pub(crate) struct Run {
    start: u64,
    bytes: Vec<u8>,
}

impl Run {
    fn read(file: &dyn ReadFile, path: &Path, start: u64, len: u64) -> Result<Self> {
        let mut run = Self::default();
        run.refill(file, path, start, len)?;
        Ok(run)
    }

    /// Reads `len` bytes, a small number, in the place of those that are here.
    pub(crate) fn refill(&mut self, file: &dyn ReadFile, path: &Path, start: u64, len: u64) -> Result<()> {
        self.start = start;
        let len = usize::try_from(len).unwrap_or_default();
        pages::resize(&mut self.bytes, len).map_err(Error::io("read", path))?;
        file.read_exact_at(&mut self.bytes, start)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Error::corrupt(path, "it ends inside a payload"),
                _ => Error::io("read", path)(error),
            })
    }

    /// The bytes of a payload, if all of them are here.
    fn payload(&self, payload: Place) -> Option<&[u8]> {
        self.held().get(payload.start, usize::try_from(payload.len).ok()?)
    }

    fn held(&self) -> Held<'_> {
        Held {
            start: self.start,
            bytes: &self.bytes,
        }
    }
}

/// What is read of a payload to know its framing: both its ends, or all of it if it is small.
fn edges(file: &dyn ReadFile, path: &Path, payload: Place) -> Result<[Run; 2]> {
    let run = |start, len| Run::read(file, path, start, len);
    if payload.len <= SMALL {
        return Ok([run(payload.start, payload.len)?, Run::default()]);
    }
    let tail = payload.start + payload.len - TAIL;
    Ok([run(payload.start, HEAD)?, run(tail, TAIL)?])
}

fn slice<'f>(file: &'f dyn ReadFile, payload: Place, held: [Held<'f>; 2]) -> Slice<'f> {
    Slice {
        file,
        start: payload.start,
        len: payload.len,
        held,
    }
}

/// Reads the pickle of a payload, and where its storages lie.
pub(crate) fn read(file: &dyn ReadFile, path: &Path, payload: Place, limit: ReadLimit) -> Result<(Pickle, Storages)> {
    let [head, tail] = edges(file, path, payload)?;
    let slice = slice(file, payload, [head.held(), tail.held()]);
    torch::archive(slice, payload.file, path, limit)
}

/// Finds the bytes of chunks, one after the other.
///
/// The pickle of a payload says what type and shape its tensor has. Chunks of one type and shape have the same, byte for
/// byte, and it is read once for those that follow each other. As a rule the whole payload is like the one in front of
/// it, and nothing is parsed again.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    pickle: Option<(Vec<u8>, Pickle)>,
    model: Option<Model>,
    limit: ReadLimit,
}

impl Finder {
    pub(crate) fn new(limit: ReadLimit) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Finds the bytes of a chunk, whose payload must hold what `.metadata` says of it. All of the payload is in `run`, if
    /// there is one.
    pub(crate) fn locate(
        &mut self,
        file: (&dyn ReadFile, &Path),
        (entry, tensor): (&str, &StoredTensor),
        chunk: &Part,
        run: Option<&Run>,
    ) -> Result<Part> {
        let say = |refused: Refused| {
            let in_chunk = |what| format!("entry `{entry}`, chunk {}: {what}", chunk.region);
            refused.said(in_chunk).at(file.1)
        };
        let payload = run.and_then(|run| run.payload(chunk.place));
        if let (Some(model), Some(payload)) = (&self.model, payload)
            && let Some(part) = model.part(payload, chunk)
        {
            agrees(model.info(), tensor, chunk).map_err(say)?;
            return Ok(part);
        }
        self.model = None;
        let edges = match run {
            Some(_) => Default::default(),
            None => edges(file.0, file.1, chunk.place)?,
        };
        let held = match (run, &edges) {
            (Some(run), _) => [run.held(), Held::default()],
            (None, [head, tail]) => [head.held(), tail.held()],
        };
        let unpacked = torch::unpack(slice(file.0, chunk.place, held), chunk.place.file, file.1, self.limit)?;
        let pickle = self.load(&unpacked.pickle, unpacked.is_verified, file.1)?;
        let found = torch::only_tensor(pickle, &unpacked.storages).map_err(say)?;
        agrees(&found.info, tensor, chunk).map_err(say)?;
        let part = found.parts.into_iter().next();
        let part = part.ok_or_else(|| say("the payload has no bytes".into()))?;
        let model = |bytes| Model::of(bytes, chunk.place, &unpacked.archive, (found.info, &part));
        self.model = payload.and_then(model);
        Ok(Part {
            region: chunk.region.clone(),
            ..part
        })
    }

    /// The pickle, which may be the last that was loaded.
    fn load(&mut self, bytes: &[u8], is_verified: bool, path: &Path) -> Result<&Pickle> {
        let last = match self.pickle.take() {
            Some((last, pickle)) if last == bytes => (last, pickle),
            _ => (bytes.to_vec(), torch::load(bytes, is_verified, path, self.limit)?),
        };
        Ok(&self.pickle.insert(last).1)
    }
}

/// Compares the tensor in a payload with what `.metadata` says of it.
fn agrees(found: &TensorInfo, tensor: &StoredTensor, chunk: &Part) -> Result<(), Refused> {
    let dtype = tensor.info.dtype();
    if found.dtype() == dtype && found.shape() == chunk.region.size {
        return Ok(());
    }
    let size = &chunk.region.size;
    Err(format!("the payload is {found}, and `.metadata` says {dtype} {size:?}").into())
}
