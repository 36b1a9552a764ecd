//! Tells from an index which tensors are one, or equal.

use super::{Arrangement, Check, Cut, Extent, Part, StoredTensor};
use crate::entry::{DType, Region};

/// The place of a part, and which bytes of it are which elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartPlace {
    region: Region,
    place: Extent,
    arrangement: Option<Arrangement>,
    cut: Option<Cut>,
}

impl StoredTensor {
    /// The places of the parts. Tensors with one shape, type and list of places are tied, and not only equal.
    pub(crate) fn extents(&self) -> Vec<PartPlace> {
        self.parts.iter().map(Part::extent).collect()
    }

    /// Returns whether two stored tensors have equal contents; `None` if only a comparison of their bytes can tell.
    pub(crate) fn same_contents(&self, other: &Self) -> Option<bool> {
        if self.info != other.info {
            return Some(false);
        }
        if self.extents() == other.extents() {
            return Some(true);
        }
        let ([a], [b]) = (&self.parts[..], &other.parts[..]) else {
            return None;
        };
        if !a.shows_as(b) {
            return None;
        }
        let item = self.info.dtype().bits() / 8;
        let is_all = a.fills_its_place(item) && b.fills_its_place(item);
        let told = a.check.tells_apart(&b.check, a.is_whole_run() && b.is_whole_run());
        // Sums of more than the elements differ for other reasons, too.
        told.filter(|is_equal| *is_equal || is_all)
    }

    /// Returns true if checksums prove that two tensors, of one source or of two, have equal contents.
    pub(crate) fn is_proven_equal(&self, other: &Self) -> bool {
        let proves = |(a, b): (&Part, &Part)| {
            a.region == b.region && a.shows_as(b) && a.check.tells_apart(&b.check, false) == Some(true)
        };
        let parts = self.parts.iter().zip(&other.parts);
        self.info == other.info && self.parts.len() == other.parts.len() && parts.into_iter().all(proves)
    }
}

impl Part {
    /// The place of the part.
    pub(crate) fn extent(&self) -> PartPlace {
        PartPlace {
            region: self.region.clone(),
            place: self.place,
            arrangement: self.arrangement.clone(),
            cut: self.cut.clone(),
        }
    }

    /// The file and the offset of the first element.
    pub(crate) fn first_byte(&self, dtype: DType) -> (usize, u64) {
        let span = self.span(dtype.bits() / 8);
        (self.place.file, self.place.start + span.start as u64)
    }

    /// Returns true if the part has the same bytes of its place as another part of the other's place.
    fn shows_as(&self, other: &Self) -> bool {
        let lens = (self.place.len, other.place.len);
        lens.0 == lens.1 && self.arrangement == other.arrangement && self.cut == other.cut
    }
}

impl Check {
    /// Returns `Some(true)` if the checksums prove equal contents, and `Some(false)` if they prove different ones.
    fn tells_apart(&self, other: &Self, whole: bool) -> Option<bool> {
        match (self, other) {
            (Self::Blocks(a), Self::Blocks(b)) if a.len() == b.len() && !a.is_empty() => Some(a == b),
            // Different CRC-32s prove a difference, but equal ones do not prove equality.
            (Self::Run(a), Self::Run(b)) if whole && a.crc32 != b.crc32 => Some(false),
            _ => None,
        }
    }
}
