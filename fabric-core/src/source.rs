//! Everything entries can be read from, behind one trait: own checkpoints and foreign files become an index of named
//! tensors and values, with the places of their bytes.

mod block;
pub(crate) mod cut;
pub(crate) mod head;
pub(crate) mod hidden;
mod index;
pub(crate) mod limit;
mod lookup;
pub(crate) mod names;
pub(crate) mod open;
pub(crate) mod open_files;
pub(crate) mod read;
pub(crate) mod recognized;
pub(crate) mod refused;
pub(crate) mod single;
pub(crate) mod values;
pub(crate) mod window;

pub(crate) use block::{Block, Sum};
pub(crate) use cut::Cut;
pub(crate) use index::{Entry, Index, by_name};
pub(crate) use limit::{ReadLimit, check_tensors};
pub(crate) use lookup::Lookup;
pub(crate) use open::open;

use std::borrow::Cow;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use self::read::{THREADS, in_parallel};
use crate::entry::{Region, TensorInfo};
use crate::error::Result;
use crate::storage::ReadFile;

/// A checkpoint or a file of weights, opened: its index is known, its tensors have not been read.
pub(crate) trait Source: Send + Sync + Debug {
    /// The entries and where they lie.
    fn index(&self) -> &Arc<Index>;

    /// One of the files that [`Place::file`] counts.
    fn file(&self, number: usize) -> (&dyn ReadFile, &Path);

    /// How much memory it may ask for.
    fn limit(&self) -> ReadLimit {
        ReadLimit::default()
    }

    /// An identity of this save, which another save of the same entries does not share; the index does not tell them apart.
    fn mark(&self) -> Option<&str> {
        None
    }

    /// The tensor with the true places of its bytes, or of those at least that hold anything of `wanted`. Sources that look
    /// for these only when a tensor is read put [`Check::Framed`] parts into their index; all others give the tensor back
    /// as it is.
    fn locate<'t>(
        &self,
        _entry: &'t str,
        tensor: &'t StoredTensor,
        _wanted: Option<&Region>,
    ) -> Result<Cow<'t, StoredTensor>> {
        Ok(Cow::Borrowed(tensor))
    }

    /// Locates many tensors, in their order, by several threads.
    fn locate_all<'t>(&self, sought: &[Sought<'t>]) -> Result<Vec<Cow<'t, StoredTensor>>> {
        let located: Vec<OnceLock<Cow<'t, StoredTensor>>> = sought.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        in_parallel(THREADS, || {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (sought, found) = (sought.get(at)?, located.get(at)?);
            let tensor = self.locate(sought.entry, sought.stored, sought.wanted.as_ref());
            Some(tensor.map(|tensor| drop(found.set(tensor))))
        })?;
        // Without an error every number was taken, and filled.
        Ok(located.into_iter().filter_map(OnceLock::into_inner).collect())
    }

    /// Takes note of bytes that were read of an entry.
    ///
    /// # Errors
    /// If nothing more is to be read.
    fn note_read(&self, _bytes: usize) -> Result<()> {
        Ok(())
    }
}

/// A tensor that is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Sought<'t> {
    pub(crate) entry: &'t str,
    pub(crate) stored: &'t StoredTensor,
    /// The box of it that is needed; `None`: all of it.
    pub(crate) wanted: Option<Region>,
}

/// A tensor in a source.
#[derive(Clone, Debug)]
pub(crate) struct StoredTensor {
    pub(crate) info: TensorInfo,
    /// Parts that cover the tensor, without overlap.
    pub(crate) parts: Vec<Part>,
}

impl StoredTensor {
    /// Where the parts lie. Tensors of one shape and type with the same places are one tensor: tied, not just equal.
    pub(crate) fn places(&self) -> Vec<(Place, Option<Arrangement>)> {
        self.parts
            .iter()
            .map(|part| (part.place, part.arrangement.clone()))
            .collect()
    }

    /// Whether the places are those of archives around the bytes, which [`Source::locate`] finds.
    pub(crate) fn is_framed(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.check, Check::Framed))
    }

    /// Whether two stored tensors have the same contents; `None` if only reading them can tell.
    pub(crate) fn same_contents(&self, other: &Self) -> Option<bool> {
        if self.info != other.info {
            return Some(false);
        }
        if self.places() == other.places() {
            return Some(true);
        }
        match (&self.parts[..], &other.parts[..]) {
            ([a], [b]) if a.arrangement == b.arrangement => {
                a.check.tells_apart(&b.check, a.is_whole_run() && b.is_whole_run())
            }
            _ => None,
        }
    }
}

/// A box of a tensor, and the place of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) region: Region,
    pub(crate) place: Place,
    pub(crate) check: Check,
    /// How the elements lie in the place; `None`: row-major, little-endian, without gaps.
    pub(crate) arrangement: Option<Arrangement>,
    /// The box of it that is read; `None`: all of it.
    pub(crate) cut: Option<Cut>,
}

/// A run of bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// Elements that do not simply follow each other: views, and numbers of the other byte order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arrangement {
    /// For each dimension of the region, the elements from one index to the next; the place begins at index 0 and ends
    /// with the last element.
    pub(crate) strides: Vec<usize>,
    /// The bytes of a number if they are stored most significant first, else 1.
    pub(crate) swapped: usize,
}

/// How the bytes of a part are known to be those that were saved.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// The format has no checksums.
    Nothing,
    /// One checksum for each block of [`checksum::BLOCK`](crate::io::checksum::BLOCK) bytes of the part.
    Blocks(Vec<u64>),
    /// One checksum over a run of bytes that the part is, or lies in.
    Run(Arc<CheckedRun>),
    /// Not known yet: the place is that of an archive around the bytes; see [`Source::locate`].
    Framed,
}

/// A run of bytes with a CRC-32 over all of it: a member of a zip archive, shared by all views of it.
#[derive(Debug)]
pub(crate) struct CheckedRun {
    pub(crate) place: Place,
    pub(crate) crc32: u32,
    /// Checksums of its pieces, if it was verified: what is read of a view later is compared with them.
    pub(crate) pieces: OnceLock<Box<[u64]>>,
}

impl Check {
    /// Whether equal checks prove that contents are equal, or different ones that they differ.
    fn tells_apart(&self, other: &Self, whole: bool) -> Option<bool> {
        match (self, other) {
            (Self::Blocks(a), Self::Blocks(b)) if a.len() == b.len() && !a.is_empty() => Some(a == b),
            // 32 bits prove a difference, not equality.
            (Self::Run(a), Self::Run(b)) if whole && a.crc32 != b.crc32 => Some(false),
            _ => None,
        }
    }
}

impl Part {
    /// A part whose elements simply follow each other.
    pub(crate) fn plain(region: Region, place: Place, check: Check) -> Self {
        Self {
            region,
            place,
            check,
            arrangement: None,
            cut: None,
        }
    }

    /// Whether the part is all of the run that its checksum covers.
    pub(crate) fn is_whole_run(&self) -> bool {
        matches!(&self.check, Check::Run(run) if run.place == self.place)
    }
}

/// A source whose parts lie in plain files.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "its files are what the source has")]
pub(crate) struct Files {
    pub(crate) index: Arc<Index>,
    pub(crate) files: Vec<(Box<dyn ReadFile>, PathBuf)>,
    pub(crate) limit: ReadLimit,
}

impl Source for Files {
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
