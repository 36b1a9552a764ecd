//! Divides two tensors of one shape into the same boxes, small enough to be in memory.

use crate::entry::{DType, Region, TensorInfo};
use crate::io::checksum::BLOCK;
use crate::source::{Part, StoredTensor};

/// The bytes of a piece of a transposed tensor. A smaller piece is spread over as much of the file, and costs as many reads.
const SPREAD: usize = 16 * BLOCK;

/// The boxes of a tensor, counted from 0.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    shape: Vec<usize>,
    /// The dimensions from the outermost to the innermost, as the elements lie in the file.
    order: Vec<usize>,
    /// The position in `order` of the dimension that is cut. Of dimensions before it, a box has one index; of those behind it, all.
    cut: usize,
    /// The indices that a box has of the dimension that is cut.
    rows: usize,
}

impl Pieces {
    /// Boxes of at most `most` elements, for a tensor that lies in the file as `order` says.
    fn new(shape: &[usize], order: Vec<usize>, most: usize) -> Self {
        let (mut cut, mut inner) = (order.len().saturating_sub(1), 1);
        while cut > 0 {
            let Some(more) = shape[order[cut]].checked_mul(inner).filter(|more| *more <= most) else {
                break;
            };
            (cut, inner) = (cut - 1, more);
        }
        Self {
            shape: shape.to_vec(),
            order,
            cut,
            rows: (most / inner.max(1)).max(1),
        }
    }

    /// The number of boxes.
    pub(super) fn count(&self) -> usize {
        if self.shape.contains(&0) {
            return 0;
        }
        let Some((&cut, before)) = self.order.get(self.cut).zip(self.order.get(..self.cut)) else {
            return 1;
        };
        let outer: usize = before.iter().map(|dim| self.shape[*dim]).product();
        outer * self.shape[cut].div_ceil(self.rows)
    }

    /// The box of this number.
    pub(super) fn get(&self, number: usize) -> Region {
        let mut region = Region::whole(&self.shape);
        let Some((&cut, before)) = self.order.get(self.cut).zip(self.order.get(..self.cut)) else {
            return region;
        };
        let stretches = self.shape[cut].div_ceil(self.rows);
        let mut rest = number / stretches;
        region.offset[cut] = number % stretches * self.rows;
        region.size[cut] = self.rows.min(self.shape[cut] - region.offset[cut]);
        for &dim in before.iter().rev() {
            (region.offset[dim], region.size[dim]) = (rest % self.shape[dim], 1);
            rest /= self.shape[dim];
        }
        region
    }
}

/// Divides two tensors with elements of `items` bytes. Both are given another shape if they are plain runs of bytes.
pub(super) fn divide(first: &mut StoredTensor, second: &mut StoredTensor, (item, other): (usize, usize)) -> Pieces {
    if let (Some(flat), Some(also)) = (flat(first, item), flat(second, other))
        && flat.info.shape() == also.info.shape()
    {
        (*first, *second) = (flat, also);
    }
    let shape = first.info.shape();
    let in_order = (0..shape.len()).collect();
    if first.info.dtype().bits() < 8 || second.info.dtype().bits() < 8 {
        // Of elements that share bytes, no box can be read.
        return Pieces::new(shape, in_order, usize::MAX);
    }
    match strides(first).or_else(|| strides(second)) {
        None => Pieces::new(shape, in_order, BLOCK / item.min(other).max(1)),
        Some(strides) => {
            let mut order: Vec<usize> = in_order;
            order.sort_by_key(|dim| std::cmp::Reverse(strides.get(*dim).copied().unwrap_or_default()));
            Pieces::new(shape, order, SPREAD / item.max(other).max(1))
        }
    }
}

/// Returns true if a tensor's elements do not lie in the order of its indices.
pub(super) fn is_spread(stored: &StoredTensor) -> bool {
    strides(stored).is_some()
}

fn strides(stored: &StoredTensor) -> Option<&[usize]> {
    let arranged = stored.parts.iter().find_map(|part| part.arrangement.as_ref());
    arranged.map(|arrangement| &arrangement.strides[..])
}

/// The tensor with one dimension, if it is one run of bytes. Elements that share bytes become bytes.
fn flat(stored: &StoredTensor, item: usize) -> Option<StoredTensor> {
    let [part] = &stored.parts[..] else { return None };
    let len = usize::try_from(part.place.len).ok()?;
    let dtype = stored.info.dtype();
    let (dtype, elements) = if dtype.bits() < 8 {
        (DType::U8, len)
    } else {
        (
            dtype,
            stored
                .info
                .elements()
                .filter(|elements| elements.checked_mul(item) == Some(len))?,
        )
    };
    let is_plain = part.arrangement.is_none() && part.cut.is_none() && part.region.size == stored.info.shape();
    is_plain.then(|| StoredTensor {
        info: TensorInfo::of(dtype, &[elements]),
        parts: vec![Part {
            region: Region::whole(&[elements]),
            ..part.clone()
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::covers;

    #[test]
    fn the_boxes_cover_every_tensor_and_are_small() {
        let shapes: [&[usize]; 9] = [
            &[],
            &[1],
            &[7],
            &[3, 5],
            &[1, 1, 9],
            &[2, 100],
            &[100, 2],
            &[0, 4],
            &[3, 1, 4, 2],
        ];
        for shape in shapes {
            for most in [1, 2, 6, 1000, usize::MAX] {
                let mut order: Vec<usize> = (0..shape.len()).collect();
                for _ in 0..2 {
                    let pieces = Pieces::new(shape, order.clone(), most);
                    let boxes: Vec<Region> = (0..pieces.count()).map(|number| pieces.get(number)).collect();
                    assert_eq!(covers(shape, &boxes), Ok(()), "{shape:?} by {most} in {order:?}");
                    let largest = boxes.iter().map(|region| region.size.iter().product::<usize>()).max();
                    assert!(largest.unwrap_or_default() <= most, "{shape:?} by {most} in {order:?}");
                    order.reverse();
                }
            }
        }
    }
}
