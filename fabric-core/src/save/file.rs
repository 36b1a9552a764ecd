//! One file of a checkpoint: header, tensors, manifest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::entry::{Row, TensorInfo};
use crate::error::{Error, Result};
use crate::format::manifest::{FileRecord, Manifest, Sums, TensorRecord};
use crate::format::safetensors::FileLayout;
use crate::format::{MANIFEST, ManifestError};
use crate::io::checksum::{self, BLOCK};
use crate::io::pages;
use crate::storage::WriteFile;
use crate::threads;

/// A second thread computes the checksums of runs of at least this length in bytes.
const LONG: usize = 4 * BLOCK;

/// The memory that the header and the manifest take while they are written is at most this multiple of the manifest's
/// length.
const INDICES: usize = 8;

/// The contents of the tensors of a file.
pub(crate) trait Contents {
    /// Hands every byte of a row to `take`, in row-major order. The length of every run but the last is a multiple of
    /// [`BLOCK`].
    fn read(&self, row: usize, take: &mut dyn FnMut(ByteRun<'_>) -> Result<()>) -> Result<()>;
}

/// Consecutive bytes of a row that are written to a file.
#[derive(Clone, Copy)]
pub(crate) struct ByteRun<'r> {
    pub(crate) bytes: &'r [u8],
    /// The checksums of its blocks, if the thread that copied the bytes has computed them.
    pub(crate) sums: Option<&'r [u64]>,
}

impl<'r> ByteRun<'r> {
    /// A run without checksums.
    pub(crate) fn of(bytes: &'r [u8]) -> Self {
        Self { bytes, sums: None }
    }

    /// Splits the run into runs of at most `blocks` blocks.
    pub(crate) fn split(self, blocks: usize) -> impl Iterator<Item = Self> {
        let runs = self.bytes.chunks(blocks * BLOCK).enumerate();
        runs.map(move |(number, bytes)| {
            let first = number * blocks;
            let sums = self
                .sums
                .and_then(|sums| sums.get(first..first + bytes.len().div_ceil(BLOCK)));
            Self { bytes, sums }
        })
    }
}

/// A file of which every byte is decided, except its tensors and their checksums.
pub(crate) struct FileWriter {
    layout: FileLayout<Arc<str>>,
    manifest: Manifest,
}

impl FileWriter {
    /// Decides the layout of the file. Rows are in the order of their bytes; `manifest` lacks only the tensors and the
    /// record of the file.
    ///
    /// # Errors
    /// If there are more rows or larger tensors than the format can hold.
    pub(crate) fn new<T>(rows: &[Row<T>], mut manifest: Manifest, path: &Path) -> Result<Self> {
        let refused = |what: String| Error::destination(path, what);
        let infos: Vec<(Arc<str>, TensorInfo)> = rows.iter().map(|row| (row.name.clone(), row.info())).collect();
        manifest.body.tensors = rows.iter().map(record_of).collect();
        manifest.body.file = Some(FileRecord::default());
        let manifest_len = manifest.encoded_len().map_err(|error| refused(error.to_string()))?;
        let indices = usize::try_from(manifest_len)
            .unwrap_or(usize::MAX)
            .saturating_mul(INDICES);
        pages::look(indices).map_err(|source| Error::Memory {
            purpose: format!("list the {} tensors of the checkpoint", infos.len()),
            source,
        })?;
        let layout =
            FileLayout::new(infos, &BTreeMap::new(), Some(manifest_len)).map_err(|error| refused(error.to_string()))?;
        set_offsets(&mut manifest, &layout);
        Ok(Self { layout, manifest })
    }

    /// The length of the file.
    pub(crate) fn len(&self) -> u64 {
        self.layout.file_len
    }

    /// Writes the whole file, each byte once.
    pub(crate) fn write(&mut self, contents: &dyn Contents, file: &mut dyn WriteFile, path: &Path) -> Result<()> {
        let mut runs = BlockWriter {
            file,
            path,
            len: 0,
            buffered: Vec::new(),
        };
        runs.buffer(&self.layout.header)?;
        for (at, record) in self.manifest.body.tensors.iter_mut().enumerate() {
            let Some(part) = &mut record.part else { continue };
            let sums = &mut part.sums;
            sums.clear();
            contents.read(at, &mut |run| runs.write(run, sums))?;
        }
        let manifest = self.manifest.encode().map_err(ManifestError::at_save)?;
        runs.buffer(&manifest)?;
        runs.flush()
    }
}

/// Writes runs of bytes to a file. Runs shorter than a block are collected first: a system call for each takes longer
/// than to copy its bytes once more.
///
/// Writes begin and end on multiples of a block where possible: the page cache keeps a file in aligned pages as large
/// as the writes, and few large pages take less time than many small ones.
struct BlockWriter<'f> {
    file: &'f mut dyn WriteFile,
    path: &'f Path,
    /// The number of bytes that are written or buffered.
    len: usize,
    buffered: Vec<u8>,
}

impl BlockWriter<'_> {
    /// Writes a run of blocks, and adds their checksums to `sums`.
    fn write(&mut self, run: ByteRun<'_>, sums: &mut Sums) -> Result<()> {
        let ByteRun { bytes, sums: known } = run;
        if bytes.len() >= BLOCK {
            self.flush()?;
        }
        if let Some(known) = known {
            self.write_or_buffer(bytes)?;
            add(sums, known.iter().copied());
        } else if bytes.len() < LONG {
            self.write_or_buffer(bytes)?;
            add(sums, bytes.chunks(BLOCK).map(checksum::of));
        } else {
            add(sums, self.write_and_sum(bytes)?.into_iter());
        }
        Ok(())
    }

    /// Writes a run while a second thread, if the system has one, computes its checksums: a write takes longer than a
    /// checksum.
    fn write_and_sum(&mut self, bytes: &[u8]) -> Result<Vec<u64>> {
        std::thread::scope(|scope| {
            let computing = threads::start_scoped(scope, || checksum::sums(bytes));
            self.write_through(bytes)?;
            match computing {
                Ok(computing) => computing
                    .join()
                    .map_err(|_| Error::Internal("the thread that computes checksums stopped".to_owned())),
                Err(_) => Ok(checksum::sums(bytes)),
            }
        })
    }

    fn write_or_buffer(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() < BLOCK {
            self.buffer(bytes)
        } else {
            self.write_through(bytes)
        }
    }

    /// Buffers bytes until a block is full.
    fn buffer(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.to_block_end().min(bytes.len()));
            self.buffered.extend_from_slice(now);
            self.len += now.len();
            if self.to_block_end() == BLOCK {
                self.flush()?;
            }
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffered.is_empty() {
            return Ok(());
        }
        self.file
            .write_all(&self.buffered)
            .map_err(Error::io("write", self.path))?;
        self.buffered.clear();
        Ok(())
    }

    fn write_through(&mut self, bytes: &[u8]) -> Result<()> {
        let (first, rest) = bytes.split_at(self.to_block_end().min(bytes.len()));
        self.len += bytes.len();
        for bytes in [first, rest].into_iter().filter(|bytes| !bytes.is_empty()) {
            self.file.write_all(bytes).map_err(Error::io("write", self.path))?;
        }
        Ok(())
    }

    /// The number of bytes to the next multiple of a block.
    fn to_block_end(&self) -> usize {
        BLOCK - self.len % BLOCK
    }
}

/// Adds the checksums of a run's blocks.
fn add(sums: &mut Sums, blocks: impl Iterator<Item = u64>) {
    blocks.for_each(|sum| sums.extend_from_slice(&sum.to_le_bytes()));
}

/// The record of a row, without its place and its checksums.
fn record_of<T>(row: &Row<T>) -> TensorRecord {
    TensorRecord::in_file(&row.name, &row.whole, row.region.as_ref(), row.len() as u64)
}

/// Sets the offsets of the layout in the manifest, whose length does not depend on them.
fn set_offsets(manifest: &mut Manifest, layout: &FileLayout<Arc<str>>) {
    for (record, placed) in manifest.body.tensors.iter_mut().zip(&layout.tensors) {
        debug_assert_eq!(*record.name, *placed.name, "rows are in the order of their bytes");
        if let Some(part) = &mut record.part {
            part.start = placed.start;
        }
    }
    debug_assert!(layout.tensors.last().is_some_and(|placed| *placed.name == *MANIFEST));
    manifest.body.file = Some(FileRecord {
        header_len: layout.header.len() as u64,
        header_sum: checksum::of(&layout.header).to_le_bytes(),
        len: layout.file_len,
    });
}
