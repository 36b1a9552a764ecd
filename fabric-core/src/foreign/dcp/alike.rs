//! Payloads that differ from one in front of them in nothing but what depends on their numbers.
//!
//! PyTorch writes the same bytes around all tensors of one type and shape. Of a payload that has been read, four things
//! change with the numbers: the storage itself, the member `.data/serialization_id`, and the checksums of both, in the
//! directory and behind the contents. Nothing of these is looked at when a payload is parsed, but the storage's checksum
//! in the directory. If all other bytes are equal, parsing would find what it found before.

use std::ops::Range;

use smallvec::SmallVec;

use crate::entry::TensorInfo;
use crate::foreign::zip::Archive;
use crate::source::{Arrangement, Check, CheckedRun, Part, Place};

/// The end of the name of a member that is never read.
const SERIALIZATION_ID: &[u8] = b".data/serialization_id";

/// A payload whose tensor was found, to compare others with.
#[derive(Debug)]
pub(crate) struct Model {
    bytes: Vec<u8>,
    /// Where it lies.
    pub(crate) payload: Place,
    info: TensorInfo,
    /// Where the tensor lies, and the storage that its checksum covers.
    tensor: Place,
    storage: Place,
    arrangement: Option<Arrangement>,
    /// Where the storage's checksum stands in the directory, counted from the start of the payload.
    crc32_at: usize,
    /// What may differ, in ascending order.
    free: SmallVec<[Range<usize>; 6]>,
}

impl Model {
    /// A payload, what was found in it, and the archive that it is. `None` if it is not one to compare others with: where
    /// the checksum is zero, the archive may have been written without any.
    pub(crate) fn of(
        bytes: &[u8],
        payload: Place,
        archive: &Archive,
        (info, part): (TensorInfo, &Part),
    ) -> Option<Self> {
        let Check::Run(run) = &part.check else { return None };
        if run.crc32 == 0 {
            return None;
        }
        let mut crc32 = None;
        let mut free: SmallVec<[Range<usize>; 6]> = SmallVec::new();
        for ((name, member), traces) in archive.members().zip(archive.traces()) {
            if member.start == run.place.start {
                crc32 = Some(range(&traces.crc32)?);
            } else if !name.ends_with(SERIALIZATION_ID) {
                continue;
            }
            for trace in [Some(traces.contents), Some(traces.crc32), traces.behind] {
                free.extend(trace.as_ref().and_then(range));
            }
        }
        free.sort_unstable_by_key(|free| free.start);
        Some(Self {
            bytes: bytes.to_vec(),
            payload,
            info,
            tensor: part.place,
            storage: run.place,
            arrangement: part.arrangement.clone(),
            crc32_at: crc32?.start,
            free,
        })
    }

    /// What the tensor of every payload like this one is.
    pub(crate) fn info(&self) -> &TensorInfo {
        &self.info
    }

    /// Where the numbers of another payload lie, if it is like this one; `None` says that it must be parsed.
    pub(crate) fn part(&self, bytes: &[u8], chunk: &Part) -> Option<Part> {
        if chunk.place.file != self.payload.file || !self.is_like(bytes) {
            return None;
        }
        let crc32 = u32::from_le_bytes(*bytes.get(self.crc32_at..)?.first_chunk()?);
        if crc32 == 0 {
            return None;
        }
        let moved = |place: Place| {
            let start = chunk.place.start + (place.start - self.payload.start);
            Place { start, ..place }
        };
        Some(Part {
            region: chunk.region.clone(),
            place: moved(self.tensor),
            check: Check::Run(CheckedRun::new(moved(self.storage), crc32)),
            arrangement: self.arrangement.clone(),
            cut: None,
        })
    }

    /// Whether all bytes are equal that may not differ.
    fn is_like(&self, bytes: &[u8]) -> bool {
        let mut from = 0;
        let equal = |from: usize, to: usize| {
            let (own, other) = (self.bytes.get(from..to), bytes.get(from..to));
            own.is_some() && own == other
        };
        bytes.len() == self.bytes.len()
            && self
                .free
                .iter()
                .all(|free| equal(std::mem::replace(&mut from, free.end), free.start))
            && equal(from, bytes.len())
    }
}

fn range(range: &Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}
