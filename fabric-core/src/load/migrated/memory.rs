//! Tensors that a recipe made in memory, beside those of a file.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::entry::{Region, TensorInfo};
use crate::error::Result;
use crate::source::{About, Check, Extent, Index, Part, ReadLimit, Source, StoredTensor};
use crate::storage::ReadFile;

/// The number of the first tensor in memory. The files of a source have smaller ones.
const FIRST: usize = usize::MAX / 2;

/// The bytes of new tensors.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Vec<Arc<Bytes>>);

#[derive(Debug)]
struct Bytes {
    bytes: Vec<u8>,
    /// A name for messages.
    path: PathBuf,
}

impl Memory {
    /// Adds a tensor, given by its bytes in row-major order.
    pub(super) fn add(&mut self, name: &str, info: TensorInfo, bytes: Vec<u8>) -> StoredTensor {
        let place = Extent {
            file: FIRST + self.0.len(),
            start: 0,
            len: bytes.len() as u64,
        };
        self.0.push(Arc::new(Bytes {
            bytes,
            path: PathBuf::from(format!("`{name}`, as the recipe made it")),
        }));
        let region = Region::whole(info.shape());
        StoredTensor {
            parts: vec![Part::plain(region, place, Check::Nothing)],
            info,
        }
    }

    /// A source that has these tensors too.
    pub(super) fn beside(&self, file: Arc<dyn Source>) -> Arc<dyn Source> {
        if self.0.is_empty() {
            return file;
        }
        Arc::new(WithMemory {
            file,
            memory: self.clone(),
        })
    }
}

/// A source with tensors in memory.
#[derive(Debug)]
struct WithMemory {
    file: Arc<dyn Source>,
    memory: Memory,
}

impl Source for WithMemory {
    fn index(&self) -> &Arc<Index> {
        self.file.index()
    }

    fn about(&self) -> Result<About> {
        self.file.about()
    }

    fn unchecked_index(&self) -> u64 {
        self.file.unchecked_index()
    }

    fn file(&self, number: usize) -> (&dyn ReadFile, &Path) {
        match number.checked_sub(FIRST).and_then(|at| self.memory.0.get(at)) {
            Some(bytes) => (&**bytes, &bytes.path),
            None => self.file.file(number),
        }
    }

    fn limit(&self) -> ReadLimit {
        self.file.limit()
    }

    fn mark(&self) -> Option<&str> {
        self.file.mark()
    }

    fn locate<'t>(
        &self,
        entry: &'t str,
        tensor: &'t StoredTensor,
        wanted: Option<&Region>,
    ) -> Result<Cow<'t, StoredTensor>> {
        if tensor.is_framed() {
            return self.file.locate(entry, tensor, wanted);
        }
        Ok(Cow::Borrowed(tensor))
    }

    fn note_read(&self, bytes: usize) -> Result<()> {
        self.file.note_read(bytes)
    }
}

impl ReadFile for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let rest = &self.bytes[from..];
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}
