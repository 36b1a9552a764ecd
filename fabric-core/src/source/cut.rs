//! Boxes of stored tensors, for loads that need a part of a tensor.

use super::layout::steps;
use super::{Part, StoredTensor};
use crate::entry::{Region, TensorInfo};

/// The box of a part that is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
            (Some(arrangement), _) => {
                let mut layout = arrangement.clone();
                layout.start += steps(&inside.offset, &layout.strides);
                self.laid(region, layout, item)
            }
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
}
