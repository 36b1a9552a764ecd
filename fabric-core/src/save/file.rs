//! One file of a checkpoint: header, tensors, manifest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::entry::{Row, TensorInfo};
use crate::error::{Error, Result};
use crate::format::manifest::{FileRecord, Manifest, Sums, TensorRecord};
use crate::format::safetensors::Layout;
use crate::format::{MANIFEST, ManifestError};
use crate::io::checksum::{self, BLOCK};
use crate::io::pages;
use crate::storage::WriteFile;
use crate::threads;

/// Runs from this length on are worth a thread.
const LONG: usize = 4 * BLOCK;

/// What the header and the manifest take while they are written, at most so many times the manifest's bytes.
const INDICES: usize = 8;

/// Where the bytes of a file's tensors come from.
pub(crate) trait Contents {
    /// Hands every byte of the row at this place to `take`, in row-major order, in runs of whole blocks: each but the last is a multiple
    /// of [`BLOCK`] long.
    fn read(&self, row: usize, take: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<()>;
}

/// Bytes of a row on their way to a file.
#[derive(Clone, Copy)]
pub(crate) struct Run<'r> {
    pub(crate) bytes: &'r [u8],
    /// The checksums of its blocks, if the thread that copied the bytes has computed them.
    pub(crate) sums: Option<&'r [u64]>,
}

impl<'r> Run<'r> {
    /// Bytes that nobody has looked at.
    pub(crate) fn of(bytes: &'r [u8]) -> Self {
        Self { bytes, sums: None }
    }

    /// The same in runs of at most so many blocks.
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

/// A file whose every byte is decided, but for its tensors and their checksums.
pub(crate) struct FileWriter {
    layout: Layout<Arc<str>>,
    manifest: Manifest,
}

impl FileWriter {
    /// Decides the file's layout. Rows are in the order of their bytes; `manifest` is complete but for them and the file.
    ///
    /// # Errors
    /// If there are more rows or larger tensors than the format can hold.
    pub(crate) fn new<T>(rows: &[Row<T>], mut manifest: Manifest, path: &Path) -> Result<Self> {
        let refused = |what: String| Error::destination(path, what);
        let infos: Vec<(Arc<str>, TensorInfo)> = rows.iter().map(|row| (row.name.clone(), row.info())).collect();
        manifest.body.tensors = rows.iter().map(record).collect();
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
            Layout::new(infos, &BTreeMap::new(), Some(manifest_len)).map_err(|error| refused(error.to_string()))?;
        place(&mut manifest, &layout);
        Ok(Self { layout, manifest })
    }

    /// The length of the file.
    pub(crate) fn len(&self) -> u64 {
        self.layout.file_len
    }

    /// Writes the whole file, each byte once.
    pub(crate) fn write(&mut self, contents: &dyn Contents, file: &mut dyn WriteFile, path: &Path) -> Result<()> {
        let mut runs = Runs {
            file,
            path,
            len: 0,
            held: Vec::new(),
        };
        runs.hold(&self.layout.header)?;
        for (at, record) in self.manifest.body.tensors.iter_mut().enumerate() {
            let Some(part) = &mut record.part else { continue };
            let sums = &mut part.sums;
            sums.clear();
            contents.read(at, &mut |run| runs.write(run, sums))?;
        }
        let manifest = self.manifest.encode().map_err(ManifestError::at_save)?;
        runs.hold(&manifest)?;
        runs.flush()
    }
}

/// Runs of bytes on their way to a file. Neighbours shorter than a block go together: a call for each would take longer than
/// to copy its bytes once more.
///
/// What is written begins and ends on multiples of a block where it can: the system keeps a file in memory in pages as
/// large as writes let it, each on a multiple of its size, and few large ones take less time than many small ones.
struct Runs<'f> {
    file: &'f mut dyn WriteFile,
    path: &'f Path,
    /// What has been written, and what is held back.
    len: usize,
    held: Vec<u8>,
}

impl Runs<'_> {
    /// Writes a run of blocks, and adds their checksums to `sums`.
    fn write(&mut self, run: Run<'_>, sums: &mut Sums) -> Result<()> {
        let Run { bytes, sums: known } = run;
        if bytes.len() >= BLOCK {
            self.flush()?;
        }
        if let Some(known) = known {
            self.put_or_hold(bytes)?;
            add(sums, known.iter().copied());
        } else if bytes.len() < LONG {
            self.put_or_hold(bytes)?;
            add(sums, bytes.chunks(BLOCK).map(checksum::of));
        } else {
            add(sums, self.put_and_sum(bytes)?.into_iter());
        }
        Ok(())
    }

    /// A second thread, if there is one, computes the checksums: the system takes longer to write a block than to read it.
    fn put_and_sum(&mut self, bytes: &[u8]) -> Result<Vec<u64>> {
        std::thread::scope(|scope| {
            let computing = threads::start_scoped(scope, || checksum::sums(bytes));
            self.put(bytes)?;
            match computing {
                Ok(computing) => computing
                    .join()
                    .map_err(|_| Error::Internal("the thread that computes checksums stopped".to_owned())),
                Err(_) => Ok(checksum::sums(bytes)),
            }
        })
    }

    fn put_or_hold(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() < BLOCK {
            self.hold(bytes)
        } else {
            self.put(bytes)
        }
    }

    /// Keeps bytes until a block is full.
    fn hold(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.room().min(bytes.len()));
            self.held.extend_from_slice(now);
            self.len += now.len();
            if self.room() == BLOCK {
                self.flush()?;
            }
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.held).map_err(Error::io("write", self.path))?;
        self.held.clear();
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let (first, rest) = bytes.split_at(self.room().min(bytes.len()));
        self.len += bytes.len();
        for bytes in [first, rest].into_iter().filter(|bytes| !bytes.is_empty()) {
            self.file.write_all(bytes).map_err(Error::io("write", self.path))?;
        }
        Ok(())
    }

    /// The bytes to the next multiple of a block.
    fn room(&self) -> usize {
        BLOCK - self.len % BLOCK
    }
}

/// Adds the checksums of a run's blocks.
fn add(sums: &mut Sums, blocks: impl Iterator<Item = u64>) {
    blocks.for_each(|sum| sums.extend_from_slice(&sum.to_le_bytes()));
}

/// A row without its place and checksums.
fn record<T>(row: &Row<T>) -> TensorRecord {
    TensorRecord::in_file(&row.name, &row.whole, row.region.as_ref(), row.len() as u64)
}

/// Writes the places that the layout found into the manifest; the length of the manifest does not depend on them.
fn place(manifest: &mut Manifest, layout: &Layout<Arc<str>>) {
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
