//! Boxes of a tensor as boxes of another shape with as many elements.
//!
//! The dimensions of both shapes are grouped where the products of their lengths are equal, counted from the first dimension:
//! `[6, 4, 5]` and `[2, 3, 20]` have the groups `6 = 2 * 3` and `4 * 5 = 20`. A box is divided in each group by itself, and
//! the divided box is every combination.

use crate::entry::Region;
use crate::source::layout::row_major;
use crate::source::{Part, StoredTensor};

/// The largest number of parts that a view has. Each takes memory, and its place is read for it.
const MOST_PARTS: usize = 1 << 16;

/// A box in the new dimensions of a group, with its strides and its first element.
#[derive(Clone, Debug)]
struct Piece {
    start: usize,
    /// For each dimension: offset, size and stride.
    dims: Vec<Along>,
}

/// One dimension of a box.
#[derive(Clone, Copy, Debug)]
struct Along {
    offset: usize,
    size: usize,
    stride: usize,
}

/// The parts of `tensor`, which has elements, in a shape with as many elements.
pub(super) fn divided(tensor: &StoredTensor, shape: &[usize], item: usize) -> Result<Vec<Part>, String> {
    let groups = groups(tensor.info.shape(), shape);
    let mut parts = Vec::with_capacity(tensor.parts.len());
    for part in &tensor.parts {
        let layout = part.layout();
        let mut pieces = vec![Piece {
            start: layout.start,
            dims: Vec::new(),
        }];
        for group in &groups {
            let dims = group.old.clone().map(|dim| Along {
                offset: part.region.offset[dim],
                size: part.region.size[dim],
                stride: layout.strides[dim],
            });
            let dims: Vec<Along> = dims.collect();
            let some = in_group(
                &dims,
                &tensor.info.shape()[group.old.clone()],
                &shape[group.new.clone()],
            )?;
            if parts.len() + pieces.len() * some.len() > MOST_PARTS {
                return Err(too_many());
            }
            let with = |piece: &Piece| some.iter().map(move |more| piece.and(more)).collect::<Vec<_>>();
            pieces = pieces.iter().flat_map(with).collect();
        }
        parts.extend(pieces.into_iter().map(|piece| piece.of(part, item)));
    }
    Ok(parts)
}

fn too_many() -> String {
    format!("its bytes lie in an order that divides this shape into more than {MOST_PARTS} parts")
}

impl Piece {
    /// The box that has these dimensions, and then those of `inner`.
    fn and(&self, inner: &Self) -> Self {
        Self {
            start: self.start + inner.start,
            dims: [&self.dims[..], &inner.dims].concat(),
        }
    }

    /// The piece of a part.
    fn of(self, part: &Part, item: usize) -> Part {
        let mut layout = part.layout();
        layout.start = self.start;
        layout.strides = self.dims.iter().map(|along| along.stride).collect();
        let region = Region {
            offset: self.dims.iter().map(|along| along.offset).collect(),
            size: self.dims.iter().map(|along| along.size).collect(),
        };
        part.laid(region, layout, item)
    }
}

/// Dimensions of both shapes whose lengths have one product.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    old: std::ops::Range<usize>,
    new: std::ops::Range<usize>,
}

/// The smallest groups of two shapes with as many elements, none of them 0.
fn groups(old: &[usize], new: &[usize]) -> Vec<Group> {
    let (mut groups, mut from) = (Vec::new(), (0, 0));
    while from.0 < old.len() || from.1 < new.len() {
        let (mut to, mut lens) = (from, (1usize, 1usize));
        loop {
            if to.0 < old.len() && (lens.0 < lens.1 || to.0 == from.0) {
                lens.0 *= old[to.0];
                to.0 += 1;
            } else if to.1 < new.len() && (lens.1 < lens.0 || to.1 == from.1) {
                lens.1 *= new[to.1];
                to.1 += 1;
            } else {
                break;
            }
        }
        // A group of nothing but dimensions of length 1 on one side has nothing on the other.
        groups.push(Group {
            old: from.0..to.0,
            new: from.1..to.1,
        });
        from = to;
    }
    groups
}

/// The boxes that a box of a group's old dimensions is in the new ones.
fn in_group(dims: &[Along], old: &[usize], new: &[usize]) -> Result<Vec<Piece>, String> {
    if old == new {
        return Ok(vec![Piece {
            start: 0,
            dims: dims.to_vec(),
        }]);
    }
    let mut pieces = Vec::new();
    for run in runs(dims, old)? {
        run.divide(new, &mut Vec::new(), &mut pieces);
        if pieces.len() > MOST_PARTS {
            return Err(too_many());
        }
    }
    Ok(pieces)
}

/// Elements that follow each other in row-major order, and have one stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// The number of the first element in the group.
    at: usize,
    len: usize,
    /// The place of the first element.
    start: usize,
    stride: usize,
}

/// The runs of a box in dimensions of the lengths `shape`, each as long as possible.
fn runs(dims: &[Along], shape: &[usize]) -> Result<Vec<Run>, String> {
    let mut first = Run {
        at: 0,
        len: 1,
        start: 0,
        stride: 1,
    };
    // The dimensions outside of a run: the size, and the numbers and the elements from one index to the next.
    let (mut outer, mut row) = (Vec::new(), 1usize);
    for (along, len) in dims.iter().zip(shape).rev() {
        first.at += along.offset * row;
        let is_full = outer.is_empty() && first.len == row;
        if along.size == 1 {
            // One index makes a run no longer.
        } else if is_full && (row == 1 || along.stride == first.stride * row) {
            first.stride = if row == 1 { along.stride } else { first.stride };
            first.len *= along.size;
        } else {
            outer.push((along.size, row, along.stride));
        }
        row *= len;
    }
    let mut runs = vec![first];
    for (size, row, stride) in outer.into_iter().rev() {
        if runs.len().saturating_mul(size) > MOST_PARTS {
            return Err(too_many());
        }
        let along = |run: Run| {
            (0..size).map(move |index| Run {
                at: run.at + index * row,
                start: run.start + index * stride,
                ..run
            })
        };
        runs = runs.into_iter().flat_map(along).collect();
    }
    Ok(runs)
}

impl Run {
    /// Divides the run into boxes of a shape. `outer` are the indices in the dimensions before the shape's.
    fn divide(self, shape: &[usize], outer: &mut Vec<Along>, found: &mut Vec<Piece>) {
        let Some((_, inner)) = shape.split_first() else {
            found.push(Piece {
                start: self.start,
                dims: outer.clone(),
            });
            return;
        };
        let row: usize = inner.iter().product();
        let (mut left, mut done) = (self, 0);
        while done < self.len {
            left.at = self.at + done;
            left.len = self.len - done;
            left.start = self.start + done * self.stride;
            let within = left.at % row;
            if within == 0 && left.len >= row {
                left.len -= left.len % row;
                found.push(left.rows(inner, outer));
            } else {
                left.len = left.len.min(row - within);
                outer.push(Along {
                    offset: left.at / row,
                    size: 1,
                    stride: 0,
                });
                Self { at: within, ..left }.divide(inner, outer, found);
                outer.pop();
            }
            done += left.len;
        }
    }

    /// The box of a run of whole rows.
    fn rows(self, inner: &[usize], outer: &[Along]) -> Piece {
        let row: usize = inner.iter().product();
        let mut dims = outer.to_vec();
        dims.push(Along {
            offset: self.at / row,
            size: self.len / row,
            stride: self.stride * row,
        });
        dims.extend(inner.iter().zip(row_major(inner)).map(|(&size, step)| Along {
            offset: 0,
            size,
            stride: self.stride * step,
        }));
        Piece {
            start: self.start,
            dims,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_end_where_the_products_are_equal() {
        let found = |old: &[usize], new: &[usize]| -> Vec<(usize, usize)> {
            let groups = groups(old, new);
            groups.into_iter().map(|group| (group.old.end, group.new.end)).collect()
        };
        assert_eq!(found(&[6, 4, 5], &[2, 3, 20]), [(1, 2), (3, 3)]);
        assert_eq!(found(&[3, 3], &[3, 3]), [(1, 1), (2, 2)]);
        assert_eq!(found(&[4, 6], &[6, 4]), [(2, 2)]);
        assert_eq!(found(&[], &[1, 1]), [(0, 1), (0, 2)]);
        assert_eq!(found(&[1, 4, 1], &[4]), [(2, 1), (3, 1)]);
        assert_eq!(found(&[], &[]), []);
    }

    #[test]
    fn a_run_is_divided_into_as_few_boxes_as_can_be() {
        let boxes = |at: usize, len: usize, shape: &[usize]| -> Vec<Vec<(usize, usize)>> {
            let (start, stride, mut found) = (0, 1, Vec::new());
            Run { at, len, start, stride }.divide(shape, &mut Vec::new(), &mut found);
            let dims = |piece: Piece| piece.dims.iter().map(|along| (along.offset, along.size)).collect();
            found.into_iter().map(dims).collect()
        };
        assert_eq!(boxes(0, 12, &[3, 4]), [[(0, 3), (0, 4)]]);
        assert_eq!(boxes(3, 9, &[3, 4]), [[(0, 1), (3, 1)], [(1, 2), (0, 4)]]);
        assert_eq!(boxes(5, 2, &[3, 4]), [[(1, 1), (1, 2)]]);
        assert_eq!(boxes(1, 22, &[2, 3, 4]).len(), 5 - 1);
        assert_eq!(boxes(0, 1, &[]), [[]; 1]);
    }
}
