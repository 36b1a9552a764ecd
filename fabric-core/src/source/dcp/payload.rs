//! Payloads: archives of `torch.save`, one after the other in `.distcp` files, one for each chunk or object.

use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::source::pickle::Pickle;
use crate::source::torch::{self, Storages};
use crate::source::window::{Held, Slice};
use crate::source::{Part, Place, StoredTensor};
use crate::storage::ReadFile;

/// What is read at the start of a payload: its pickle, and the headers in front of the data.
const HEAD: u64 = 4096;

/// What is read at its end: the members behind the data, and the directory.
const TAIL: u64 = 2048;

/// Payloads up to this length are read as a whole.
pub(super) const SMALL: u64 = HEAD + TAIL;

/// Some bytes of a file.
#[derive(Debug, Default)]
pub(super) struct Run {
    start: u64,
    bytes: Vec<u8>,
}

impl Run {
    /// Reads `len` bytes, a small number.
    pub(super) fn read(file: &dyn ReadFile, path: &Path, start: u64, len: u64) -> Result<Self> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
        file.read_exact_at(&mut bytes, start)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Error::corrupt(path, "it ends inside a payload"),
                _ => Error::io("read", path)(error),
            })?;
        Ok(Self { start, bytes })
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
pub(super) fn read(file: &dyn ReadFile, path: &Path, payload: Place) -> Result<(Pickle, Storages)> {
    let [head, tail] = edges(file, path, payload)?;
    let slice = slice(file, payload, [head.held(), tail.held()]);
    torch::archive(slice, payload.file, path)
}

/// Finds the bytes of chunks, one after the other.
///
/// The pickle of a payload says what type and shape its tensor has. Chunks of one type and shape have the same, byte for
/// byte, and it is read once for those that follow each other.
#[derive(Debug, Default)]
pub(super) struct Finder {
    last: Option<(Vec<u8>, Pickle)>,
}

impl Finder {
    /// Finds the bytes of a chunk, whose payload must hold what `.metadata` says of it. All of the payload is in `run`, if
    /// there is one.
    pub(super) fn locate(
        &mut self,
        (file, path): (&dyn ReadFile, &Path),
        (entry, tensor): (&str, &StoredTensor),
        chunk: &Part,
        run: Option<&Run>,
    ) -> Result<Part> {
        let edges = match run {
            Some(_) => Default::default(),
            None => edges(file, path, chunk.place)?,
        };
        let held = match (run, &edges) {
            (Some(run), _) => [run.held(), Held::default()],
            (None, [head, tail]) => [head.held(), tail.held()],
        };
        let (bytes, storages) = torch::unpack(slice(file, chunk.place, held), chunk.place.file, path)?;
        let pickle = match self.last.take() {
            Some((last, pickle)) if *last == *bytes => &self.last.insert((last, pickle)).1,
            _ => {
                let pickle = torch::load(&bytes, path)?;
                &self.last.insert((bytes.into_owned(), pickle)).1
            }
        };
        let say = |what: String| Error::corrupt(path, format!("entry `{entry}`, chunk {}: {what}", chunk.region));
        let found = torch::only_tensor(pickle, &storages).map_err(say)?;
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
}
