//! Tensors that a recipe made in memory, beside those of a file.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::entry::{Region, TensorInfo};
use crate::error::Result;
use crate::io::checksum;
use crate::source::{About, Check, Extent, Index, Part, ReadLimit, Source, StoredTensor};
use crate::storage::ReadFile;

/// The bytes of new tensors.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// The number of the first tensor. The files of the source, and tensors in memory of an earlier recipe, have smaller ones.
    first: usize,
    all: Vec<Arc<Bytes>>,
}

#[derive(Debug)]
struct Bytes {
    bytes: Vec<u8>,
    /// A name for messages.
    path: PathBuf,
}

impl Memory {
    /// No tensors yet, beside the files of a source.
    pub(super) fn behind(source: &dyn Source) -> Self {
        Self {
            first: source.first_in_memory(),
            all: Vec::new(),
        }
    }

    /// Adds a tensor, given by its bytes in row-major order.
    pub(super) fn add(&mut self, name: &str, info: TensorInfo, bytes: Vec<u8>) -> StoredTensor {
        let place = Extent {
            file: self.first + self.all.len(),
            start: 0,
            len: bytes.len() as u64,
        };
        // Ranks compare the checksums of their tensors: a function that differs between them is an error.
        let sums = Check::Blocks(checksum::sums(&bytes).into());
        self.all.push(Arc::new(Bytes {
            bytes,
            path: PathBuf::from(format!("`{name}`, as the recipe made it")),
        }));
        let region = Region::whole(info.shape());
        StoredTensor {
            parts: vec![Part::plain(region, place, sums)],
            info,
        }
    }

    /// A source that has these tensors too.
    pub(super) fn beside(&self, file: Arc<dyn Source>) -> Arc<dyn Source> {
        if self.all.is_empty() {
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
        match number
            .checked_sub(self.memory.first)
            .and_then(|at| self.memory.all.get(at))
        {
            Some(bytes) => (&**bytes, &bytes.path),
            None => self.file.file(number),
        }
    }

    fn first_in_memory(&self) -> usize {
        self.memory.first + self.memory.all.len()
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
