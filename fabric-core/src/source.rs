//! Opens every format behind one trait: a [`Source`] is an index of named tensors and values, with the places of their
//! bytes. The formats are this library's checkpoints and the foreign files.

pub(crate) mod about;
mod block;
mod cut;
mod edits;
pub(crate) mod facts;
pub(crate) mod head;
pub(crate) mod hidden;
mod index;
mod layout;
pub(crate) mod limit;
pub(crate) mod names;
pub(crate) mod open;
pub(crate) mod open_files;
pub(crate) mod read;
pub(crate) mod recognized;
pub(crate) mod refused;
mod same;
pub(crate) mod single;
pub(crate) mod values;
mod view;
pub(crate) mod window;

pub(crate) use about::About;
pub use about::Format;
pub(crate) use block::{Block, Sum};
pub(crate) use edits::{Declared, Edits, Origin};
pub(crate) use index::{Entry, Index, by_name};
pub(crate) use limit::{ReadLimit, check_tensors};
pub(crate) use open::open;
pub(crate) use same::PartPlace;

use std::borrow::Cow;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use self::cut::Cut;
use self::read::{THREADS, in_parallel};
use crate::entry::{Region, TensorInfo};
use crate::error::{Error, Result};
use crate::storage::ReadFile;

/// An opened checkpoint or file of weights. Its index has been read, and its tensors have not.
pub(crate) trait Source: Send + Sync + Debug {
    /// The index of the entries.
    fn index(&self) -> &Arc<Index>;

    /// The facts about the checkpoint as a whole.
    ///
    /// # Errors
    /// If the length of a file cannot be read.
    fn about(&self) -> Result<About>;

    /// The bytes of the index if it has no checksum.
    fn unchecked_index(&self) -> u64 {
        0
    }

    /// The file with this number, which [`Extent::file`] refers to.
    fn file(&self, number: usize) -> (&dyn ReadFile, &Path);

    /// The number of the first tensor that a recipe holds in memory beside the files, which have smaller numbers.
    fn first_in_memory(&self) -> usize {
        usize::MAX / 2
    }

    /// The bound on memory for this file.
    fn limit(&self) -> ReadLimit {
        ReadLimit::default()
    }

    /// An identifier of this save. Another save of the same entries has another one, although the indexes are equal.
    fn mark(&self) -> Option<&str> {
        None
    }

    /// The tensor with the places of its own bytes, at least for the parts that overlap `wanted`. A source that finds
    /// these places when a tensor is read has [`Check::Framed`] parts in its index; every other source returns the
    /// tensor unchanged.
    fn locate<'t>(
        &self,
        _entry: &'t str,
        tensor: &'t StoredTensor,
        _wanted: Option<&Region>,
    ) -> Result<Cow<'t, StoredTensor>> {
        Ok(Cow::Borrowed(tensor))
    }

    /// Locates many tensors with several threads, and returns them in the order of `sought`.
    fn locate_all<'t>(&self, sought: &[Sought<'t>]) -> Result<Vec<Cow<'t, StoredTensor>>> {
        let located: Vec<OnceLock<Cow<'t, StoredTensor>>> = sought.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        in_parallel(THREADS, || {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (sought, found) = (sought.get(at)?, located.get(at)?);
            let tensor = self.locate(sought.entry, sought.stored, sought.wanted.as_ref());
            Some(tensor.map(|tensor| drop(found.set(tensor))))
        })?;
        // Without an error, the threads have taken and filled every position.
        Ok(located.into_iter().filter_map(OnceLock::into_inner).collect())
    }

    /// Locates each part of a tensor by itself, and hands it to `found`, or the error. Damage of one file of several does
    /// not keep the parts in the others from being found.
    fn locate_parts(&self, entry: &str, tensor: &StoredTensor, found: &mut dyn FnMut(Result<Part>)) {
        for part in &tensor.parts {
            let alone = StoredTensor {
                info: tensor.info.clone(),
                parts: vec![part.clone()],
            };
            match self.locate(entry, &alone, None) {
                Ok(located) => located.parts.iter().cloned().map(Ok).for_each(&mut *found),
                Err(error) => found(Err(error)),
            }
        }
    }

    /// Reports bytes that were read of an entry.
    ///
    /// # Errors
    /// If the reading must stop.
    fn note_read(&self, _bytes: usize) -> Result<()> {
        Ok(())
    }
}

/// A tensor to locate.
#[derive(Clone, Debug)]
pub(crate) struct Sought<'t> {
    pub(crate) entry: &'t str,
    pub(crate) stored: &'t StoredTensor,
    /// The box that is needed; `None` for the whole tensor.
    pub(crate) wanted: Option<Region>,
}

/// A tensor in a source.
#[derive(Clone, Debug)]
pub(crate) struct StoredTensor {
    pub(crate) info: TensorInfo,
    /// Parts that cover the tensor without overlap.
    pub(crate) parts: Vec<Part>,
}

impl StoredTensor {
    /// Returns true if the places are those of archives around the bytes. [`Source::locate`] finds the bytes inside.
    pub(crate) fn is_framed(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.check, Check::Framed))
    }
}

/// A box of a tensor, and the place of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) region: Region,
    pub(crate) place: Extent,
    pub(crate) check: Check,
    /// The layout of the elements; `None` for row-major, little-endian elements without gaps.
    pub(crate) arrangement: Option<Arrangement>,
    /// The box of the part that is read; `None` for all of it.
    pub(crate) cut: Option<Cut>,
}

/// A run of bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    pub(crate) file: usize,
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// The layout of elements that are not contiguous or not little-endian.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arrangement {
    /// The number of elements from the start of the place to index 0 of the region.
    pub(crate) start: usize,
    /// For each dimension of the region, the number of elements from one index to the next.
    pub(crate) strides: Vec<usize>,
    /// The length of a number in bytes if it is big-endian, and 1 if it is little-endian.
    pub(crate) swapped: usize,
}

/// The checksums of a part.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// The format has no checksums.
    Nothing,
    /// One checksum for each block of [`checksum::BLOCK`](crate::io::checksum::BLOCK) bytes of the part's place.
    Blocks(Arc<[u64]>),
    /// One checksum over a run of bytes that equals the part or contains it.
    Run(Arc<CheckedRun>),
    /// Unknown until [`Source::locate`] finds the bytes inside of the archive at this place.
    Framed,
}

/// A run of bytes with a CRC-32 over all of it: a member of a zip archive. All views of the member share it.
#[derive(Debug)]
pub(crate) struct CheckedRun {
    pub(crate) place: Extent,
    pub(crate) crc32: u32,
    /// Checksums of the run's pieces, set by its verification. Later reads of a view are compared with these.
    pub(crate) pieces: OnceLock<Box<[u64]>>,
}

impl Part {
    /// A part with contiguous, little-endian elements.
    pub(crate) fn plain(region: Region, place: Extent, check: Check) -> Self {
        Self {
            region,
            place,
            check,
            arrangement: None,
            cut: None,
        }
    }

    /// Returns true if the part equals the run that its checksum covers.
    pub(crate) fn is_whole_run(&self) -> bool {
        matches!(&self.check, Check::Run(run) if run.place == self.place)
    }
}

/// A source whose parts lie in plain files.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "its files are what the source has")]
pub(crate) struct Files {
    pub(crate) index: Arc<Index>,
    /// The facts, without the number of the files and their length.
    pub(crate) about: About,
    pub(crate) files: Vec<(Box<dyn ReadFile>, PathBuf)>,
    pub(crate) limit: ReadLimit,
}

impl Source for Files {
    fn about(&self) -> Result<About> {
        let lens = self.files.iter().map(|(file, path)| (file.len(), path));
        let mut about = self.about.clone();
        for (len, path) in lens {
            about.count(len.map_err(Error::io("look at", path))?);
        }
        Ok(about)
    }

    fn unchecked_index(&self) -> u64 {
        self.about.unchecked_index
    }

    fn limit(&self) -> ReadLimit {
        self.limit
    }

    fn index(&self) -> &Arc<Index> {
        &self.index
    }

    fn file(&self, number: usize) -> (&dyn ReadFile, &Path) {
        let (file, path) = &self.files[number];
        (file.as_ref(), path)
    }
}
