//! Parts that are contiguous in their tensor.

use smallvec::SmallVec;

use crate::entry::Region;
use crate::source::{Part, StoredTensor};

/// A contiguous part: `len` bytes of the tensor from `start` on.
pub(super) struct Slab<'t> {
    pub(crate) part: &'t Part,
    start: usize,
    pub(crate) len: usize,
}

/// The parts, if all are contiguous and unconverted, follow each other, and have `len` bytes together.
pub(super) fn in_sequence(tensor: &StoredTensor, len: usize) -> Option<SmallVec<[Slab<'_>; 1]>> {
    let mut slabs = SmallVec::<[Slab<'_>; 1]>::new();
    for part in &tensor.parts {
        if part.cut.is_some() || part.arrangement.is_some() {
            return None;
        }
        let (start, len) = (slab(&part.region, tensor)?, part_len(part)?);
        slabs.push(Slab { part, start, len });
    }
    slabs.sort_unstable_by_key(|slab| (slab.start, slab.len));
    let mut end = 0usize;
    for slab in &slabs {
        if slab.start != end {
            return None;
        }
        end = end.checked_add(slab.len)?;
    }
    (end == len).then_some(slabs)
}

/// The offset of a part in the tensor's bytes, if the part is contiguous.
pub(super) fn slab(region: &Region, tensor: &StoredTensor) -> Option<usize> {
    let shape = tensor.info.shape();
    let mut dims = (0..shape.len()).skip_while(|&d| region.size[d] == 1);
    let split = dims.next();
    if dims.any(|d| region.size[d] != shape[d]) && split.is_some() {
        return None;
    }
    let mut at = 0usize;
    for (d, &len) in shape.iter().enumerate() {
        at = at.checked_mul(len)?.checked_add(region.offset[d])?;
    }
    Some(at.checked_mul(tensor.info.dtype().bits())? / 8)
}

/// The bytes of a contiguous part.
pub(super) fn part_len(part: &Part) -> Option<usize> {
    usize::try_from(part.place.len).ok()
}

/// The bytes of one element; 0 for an element smaller than a byte.
pub(crate) fn item(tensor: &StoredTensor) -> usize {
    tensor.info.dtype().bits() / 8
}
