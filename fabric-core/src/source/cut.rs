//! Boxes of stored tensors, for loads that need a part of a tensor.

use super::{Arrangement, Extent, Part, StoredTensor};
use crate::entry::{Region, TensorInfo};

/// The box of a part that is read.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// The shape of the whole part.
    pub(crate) shape: Vec<usize>,
    /// The box, counted from the first index of the part.
    pub(crate) region: Region,
}

impl StoredTensor {
    /// The whole tensor, with only those parts that overlap `wanted`.
    pub(crate) fn near(&self, wanted: &Region) -> Self {
        let near = |part: &&Part| part.region.overlap(wanted).is_some();
        Self {
            info: self.info.clone(),
            parts: self.parts.iter().filter(near).cloned().collect(),
        }
    }

    /// The box `wanted` as a tensor. Its parts are the intersections of the tensor's parts with the box.
    pub(crate) fn cut_out(&self, wanted: &Region) -> Self {
        let item = self.info.dtype().bits() / 8;
        let cut = |part: &Part| {
            let shared = part.region.overlap(wanted)?;
            Some(part.cut_out(&shared, wanted, item))
        };
        Self {
            info: TensorInfo::new(self.info.dtype(), wanted.size.clone()),
            parts: self.parts.iter().filter_map(cut).collect(),
        }
    }
}

impl Part {
    fn cut_out(&self, shared: &Region, wanted: &Region, item: usize) -> Self {
        let region = shared.within(wanted);
        if *shared == self.region {
            return Self { region, ..self.clone() };
        }
        let inside = shared.within(&self.region);
        match (&self.arrangement, &self.cut) {
            (Some(arrangement), _) => self.rearranged(region, &inside, arrangement, item),
            (None, Some(cut)) => Self {
                region,
                cut: Some(Cut {
                    shape: cut.shape.clone(),
                    region: inside.after(&cut.region),
                }),
                ..self.clone()
            },
            (None, None) => Self {
                region,
                cut: Some(Cut {
                    shape: self.region.size.clone(),
                    region: inside,
                }),
                ..self.clone()
            },
        }
    }

    /// A box of a part with strides: the strides stay, and the start changes. The index has checked the strides against
    /// the file for the whole part.
    fn rearranged(&self, region: Region, inside: &Region, arrangement: &Arrangement, item: usize) -> Self {
        let steps = |counts: &mut dyn Iterator<Item = usize>| -> u64 {
            let elements: usize = counts.zip(&arrangement.strides).map(|(n, stride)| n * stride).sum();
            (elements * item) as u64
        };
        let start = steps(&mut inside.offset.iter().copied());
        let last = steps(&mut inside.size.iter().map(|size| size - 1));
        Self {
            region,
            place: Extent {
                start: self.place.start + start,
                len: last + item as u64,
                ..self.place
            },
            check: self.check.clone(),
            arrangement: Some(arrangement.clone()),
            cut: None,
        }
    }
}
