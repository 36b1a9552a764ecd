//! The layouts of parts: where their elements lie in their places, and which need no strides.

use std::ops::Range;

use super::{Arrangement, Part};
use crate::entry::{Dims, Region};

/// The strides of a row-major tensor of this shape, in elements.
pub(super) fn row_major(shape: &[usize]) -> Dims {
    let mut strides = Dims::from_elem(1, shape.len());
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim].saturating_mul(shape[dim]);
    }
    strides
}

/// The number of elements from the first index to `index`.
pub(super) fn steps(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(index, stride)| index * stride).sum()
}

impl Part {
    /// The layout of the part's elements, also of one that needs no strides.
    pub(super) fn layout(&self) -> Arrangement {
        match (&self.arrangement, &self.cut) {
            (Some(arrangement), _) => arrangement.clone(),
            (None, Some(cut)) => {
                let strides = row_major(&cut.shape);
                let start = steps(&cut.region.offset, &strides);
                Arrangement::new(start, strides.to_vec())
            }
            (None, None) => Arrangement::new(0, row_major(&self.region.size).to_vec()),
        }
    }

    /// The part with another box and layout. It has no strides if its elements fill the place in row-major order. `item` is
    /// the number of bytes of an element.
    pub(super) fn laid(&self, region: Region, mut layout: Arrangement, item: usize) -> Self {
        for (stride, size) in layout.strides.iter_mut().zip(&region.size) {
            if *size == 1 {
                // Layouts of the same elements are equal.
                *stride = 0;
            }
        }
        let packed = row_major(&region.size);
        let dims = region.size.iter().zip(&packed).zip(&layout.strides);
        let is_plain = dims
            .clone()
            .all(|((size, packed), stride)| *size == 1 || packed == stride)
            && layout.start == 0
            && layout.swapped <= 1
            && self.place.len == bytes(&region, item);
        Self {
            region,
            arrangement: (!is_plain).then_some(layout),
            cut: None,
            ..self.clone()
        }
    }

    /// Returns true if every element of the place is an element of the part, once.
    pub(super) fn fills_its_place(&self, item: usize) -> bool {
        if self.cut.is_some() {
            return false;
        }
        let Some(arrangement) = &self.arrangement else {
            return true;
        };
        let dims = self.region.size.iter().zip(&arrangement.strides);
        let mut dims: Vec<(usize, usize)> = dims.filter(|(size, _)| **size != 1).map(|(a, b)| (*b, *a)).collect();
        dims.sort_unstable();
        let mut expected = 1usize;
        let is_dense = dims.into_iter().all(|(stride, size)| {
            let is_next = stride == expected;
            expected = expected.saturating_mul(size);
            is_next
        });
        is_dense && arrangement.start == 0 && self.place.len == bytes(&self.region, item)
    }

    /// The bytes of the place from the first element to the last one.
    pub(super) fn span(&self, item: usize) -> Range<usize> {
        let place = usize::try_from(self.place.len).unwrap_or(usize::MAX);
        if self.arrangement.is_none() && self.cut.is_none() {
            return 0..place;
        }
        if self.region.size.contains(&0) {
            return 0..0;
        }
        let layout = self.layout();
        let sizes = self.region.size.iter().zip(&layout.strides);
        let last = sizes.fold(0usize, |last, (size, stride)| {
            last.saturating_add((size - 1).saturating_mul(*stride))
        });
        let byte = |element: usize| element.saturating_mul(item).min(place);
        byte(layout.start)..byte(layout.start.saturating_add(last).saturating_add(1))
    }
}

impl Arrangement {
    /// The layout of little-endian elements.
    pub(crate) fn new(start: usize, strides: Vec<usize>) -> Self {
        Self {
            start,
            strides,
            swapped: 1,
        }
    }
}

fn bytes(region: &Region, item: usize) -> u64 {
    region.size.iter().product::<usize>().saturating_mul(item) as u64
}
