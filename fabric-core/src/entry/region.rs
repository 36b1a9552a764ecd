//! Boxes inside a tensor, and the proof that a set of them tiles it.

/// More dimensions than this are never cut at once: a mesh has a handful of axes. It bounds the work of [`covers`].
const MAX_CUT_DIMS: usize = 8;

/// An axis-aligned box inside a tensor: where it starts and how far it reaches, one number a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Region {
    /// The first index along each dimension.
    pub(crate) offset: Vec<usize>,
    /// The number of indices along each dimension.
    pub(crate) size: Vec<usize>,
}

impl Region {
    /// The box of a whole tensor of this shape.
    pub(crate) fn whole(shape: &[usize]) -> Self {
        Self {
            offset: vec![0; shape.len()],
            size: shape.to_vec(),
        }
    }

    /// The intersection of two boxes, if it has any element.
    pub(crate) fn overlap(&self, other: &Self) -> Option<Self> {
        let mut shared = Self {
            offset: Vec::with_capacity(self.offset.len()),
            size: Vec::with_capacity(self.size.len()),
        };
        let extents = |region: &Self, dim: usize| (region.offset[dim], region.offset[dim] + region.size[dim]);
        for dim in 0..self.offset.len() {
            let ((a_from, a_to), (b_from, b_to)) = (extents(self, dim), extents(other, dim));
            let (from, to) = (a_from.max(b_from), a_to.min(b_to));
            if from >= to {
                return None;
            }
            shared.offset.push(from);
            shared.size.push(to - from);
        }
        Some(shared)
    }

    /// This box with offsets from the start of `outer`, which contains it.
    pub(crate) fn within(&self, outer: &Self) -> Self {
        let offsets = self.offset.iter().zip(&outer.offset);
        Self {
            offset: offsets.map(|(at, from)| at - from).collect(),
            size: self.size.clone(),
        }
    }

    /// This box with offsets from the start of the tensor, if they were from the start of `outer`: the reverse of
    /// [`within`](Self::within).
    pub(crate) fn after(&self, outer: &Self) -> Self {
        let offsets = self.offset.iter().zip(&outer.offset);
        Self {
            offset: offsets.map(|(at, from)| at + from).collect(),
            size: self.size.clone(),
        }
    }

    /// Returns true if the box has no element.
    fn is_void(&self) -> bool {
        self.size.contains(&0)
    }

    /// Returns true if the box has all indices of a dimension of length `len`.
    fn is_full_along(&self, dim: usize, len: usize) -> bool {
        self.offset[dim] == 0 && self.size[dim] == len
    }

    /// Returns true if the box is inside a tensor of this shape.
    pub(crate) fn is_inside(&self, shape: &[usize]) -> bool {
        if self.offset.len() != shape.len() || self.size.len() != shape.len() {
            return false;
        }
        let ends = self.offset.iter().zip(&self.size).map(|(o, s)| o.checked_add(*s));
        ends.zip(shape).all(|(end, &len)| end.is_some_and(|end| end <= len))
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {:?}", self.size, self.offset)
    }
}

/// Proves that `regions` hold every element of a tensor with this `shape` exactly once, or says where they do not.
///
/// A sum of box indicators equals the indicator of the whole exactly if both have the same mixed difference, which is
/// nonzero only at corners. So the boxes are swept dimension by dimension as signed faces: the whole counts -1, each
/// box +1 where it begins and -1 where it ends, and all must cancel. In a grid every inner face meets its opposite and
/// is gone at once, so the work is that of sorting; the worst case is n log n times two to the number of cut
/// dimensions.
///
/// # Errors
/// A clause that names the region outside, or the first index (in row-major order) that no region or more than one
/// holds.
pub(crate) fn covers(shape: &[usize], regions: &[Region]) -> Result<(), String> {
    if let [region] = regions
        && region.size == shape
        && region.offset.len() == shape.len()
        && region.offset.iter().all(|&from| from == 0)
    {
        return Ok(());
    }
    for region in regions {
        if region.offset.len() != shape.len() || region.size.len() != shape.len() {
            return Err(format!("the part {region} has another rank than the shape {shape:?}"));
        }
        if !region.is_inside(shape) {
            return Err(format!("the part {region} reaches outside the shape {shape:?}"));
        }
    }
    let whole = Region::whole(shape);
    let mut signed: Vec<(i64, &Region)> = regions.iter().filter(|r| !r.is_void()).map(|r| (1, r)).collect();
    if !whole.is_void() {
        signed.push((-1, &whole));
    }
    let cut = |&dim: &usize| !signed.iter().all(|(_, region)| region.is_full_along(dim, shape[dim]));
    let dims: Vec<usize> = (0..shape.len()).filter(cut).collect();
    if dims.len() > MAX_CUT_DIMS {
        return Err(format!("it is cut along more than {MAX_CUT_DIMS} dimensions"));
    }
    let mut index = vec![0; shape.len()];
    match first_excess(&signed, &dims, &mut index) {
        0 => Ok(()),
        n if n < 0 => Err(format!("no part holds the element at {index:?}")),
        n => Err(format!("{} parts hold the element at {index:?}", n + 1)),
    }
}

/// By how much the signed boxes fail to cancel at the first place where they do, which is left in `index`; else 0.
///
/// The first in row-major order is also the number of boxes too many there: every other corner that could contribute to
/// that element comes earlier, and has cancelled.
fn first_excess(signed: &[(i64, &Region)], dims: &[usize], index: &mut [usize]) -> i64 {
    let Some((&dim, rest)) = dims.split_first() else {
        return signed.iter().map(|(sign, _)| sign).sum();
    };
    let ends = signed.iter().map(|&(sign, r)| (r.offset[dim] + r.size[dim], -sign, r));
    let mut faces: Vec<_> = signed
        .iter()
        .map(|&(sign, r)| (r.offset[dim], sign, r))
        .chain(ends)
        .collect();
    faces.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| section(a.2, rest).cmp(section(b.2, rest))));
    for at_once in faces.chunk_by(|a, b| a.0 == b.0) {
        let left: Vec<(i64, &Region)> = at_once
            .chunk_by(|a, b| section(a.2, rest).eq(section(b.2, rest)))
            .map(|same| (same.iter().map(|face| face.1).sum(), same[0].2))
            .filter(|&(sign, _)| sign != 0)
            .collect();
        if left.is_empty() {
            continue;
        }
        index[dim] = at_once[0].0;
        let excess = first_excess(&left, rest, index);
        if excess != 0 {
            return excess;
        }
    }
    index[dim] = 0;
    0
}

/// A region's extent along the dimensions that are still to be swept.
fn section(region: &Region, dims: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    dims.iter().map(|&dim| (region.offset[dim], region.size[dim]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region(offset: &[usize], size: &[usize]) -> Region {
        Region {
            offset: offset.to_vec(),
            size: size.to_vec(),
        }
    }

    /// The parts of a grid with `counts` cells of `cell` elements along each dimension.
    fn grid(counts: &[usize], cell: usize) -> Vec<Region> {
        let mut parts = vec![region(&[], &[])];
        for &count in counts {
            parts = parts
                .iter()
                .flat_map(|part| {
                    (0..count).map(|k| {
                        let mut part = part.clone();
                        part.offset.push(k * cell);
                        part.size.push(cell);
                        part
                    })
                })
                .collect();
        }
        parts
    }

    #[test]
    fn the_whole_covers_itself_at_every_rank() {
        for shape in [
            &[][..],
            &[7],
            &[2, 3],
            &[0],
            &[4, 0, 2],
            &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        ] {
            assert_eq!(covers(shape, &[Region::whole(shape)]), Ok(()), "{shape:?}");
        }
        assert_eq!(covers(&[0, 3], &[]), Ok(()), "a tensor without elements needs no part");
    }

    #[test]
    fn rows_columns_and_uneven_splits_cover() {
        let rows = [
            region(&[0, 0], &[2, 5]),
            region(&[2, 0], &[1, 5]),
            region(&[3, 0], &[0, 5]),
        ];
        assert_eq!(covers(&[3, 5], &rows), Ok(()));
        let pinwheel = [
            region(&[0, 0], &[1, 2]),
            region(&[0, 2], &[2, 1]),
            region(&[2, 1], &[1, 2]),
            region(&[1, 0], &[2, 1]),
            region(&[1, 1], &[1, 1]),
        ];
        assert_eq!(covers(&[3, 3], &pinwheel), Ok(()), "no straight cut separates these");
    }

    #[test]
    fn a_gap_and_an_overlap_are_named_by_their_first_element() {
        let gap = [region(&[0, 0], &[2, 5]), region(&[2, 0], &[1, 4])];
        assert_eq!(
            covers(&[3, 5], &gap).unwrap_err(),
            "no part holds the element at [2, 4]"
        );
        let overlap = [
            region(&[0, 0], &[2, 5]),
            region(&[1, 3], &[2, 2]),
            region(&[2, 0], &[1, 3]),
        ];
        assert_eq!(
            covers(&[3, 5], &overlap).unwrap_err(),
            "2 parts hold the element at [1, 3]"
        );
        assert_eq!(covers(&[2], &[]).unwrap_err(), "no part holds the element at [0]");
        let scalar = Region::whole(&[]);
        assert_eq!(covers(&[], &[]).unwrap_err(), "no part holds the element at []");
        assert_eq!(
            covers(&[], &[scalar.clone(), scalar]).unwrap_err(),
            "2 parts hold the element at []"
        );
    }

    #[test]
    fn the_right_number_of_elements_in_the_wrong_places_is_no_cover() {
        let parts = [region(&[0], &[2]), region(&[1], &[2])];
        assert!(covers(&[4], &parts).is_err());
    }

    #[test]
    fn a_part_outside_is_refused_also_where_the_sum_overflows() {
        assert!(covers(&[4], &[region(&[2], &[3])]).unwrap_err().contains("outside"));
        assert!(
            covers(&[4], &[region(&[usize::MAX], &[2])])
                .unwrap_err()
                .contains("outside")
        );
        assert!(covers(&[4], &[region(&[5], &[0])]).unwrap_err().contains("outside"));
        assert!(covers(&[4], &[region(&[0, 0], &[4, 1])]).unwrap_err().contains("rank"));
    }

    #[test]
    fn cuts_along_too_many_dimensions_are_refused() {
        assert_eq!(covers(&[2; 8], &grid(&[2; 8], 1)), Ok(()));
        assert!(covers(&[2; 9], &grid(&[2; 9], 1)).unwrap_err().contains("more than 8"));
    }

    #[test]
    fn grids_of_many_thousand_parts_are_proven() {
        assert_eq!(covers(&[16_384 * 3], &grid(&[16_384], 3)), Ok(()));
        assert_eq!(covers(&[256, 256], &grid(&[128, 128], 2)), Ok(()));
        assert_eq!(covers(&[25, 25, 25], &grid(&[25, 25, 25], 1)), Ok(()));
        let mut one_lost = grid(&[128, 128], 2);
        one_lost.remove(129);
        assert_eq!(
            covers(&[256, 256], &one_lost).unwrap_err(),
            "no part holds the element at [2, 2]"
        );
    }

    proptest! {
        /// The oracle counts, element by element.
        #[test]
        fn the_verdict_is_that_of_counting(
            boxes in prop::collection::vec(((0..3usize, 0..4usize), (0..3usize, 0..4usize)), 0..6)
        ) {
            let shape = [3, 3];
            let parts: Vec<Region> = boxes
                .iter()
                .map(|&((y, h), (x, w))| region(&[y, x], &[h.min(3 - y), w.min(3 - x)]))
                .collect();
            let held = |y: usize, x: usize| {
                let inside = |at: usize, part: &Region, d: usize| {
                    (part.offset[d]..part.offset[d] + part.size[d]).contains(&at)
                };
                parts.iter().filter(|p| inside(y, p, 0) && inside(x, p, 1)).count()
            };
            let wrong = (0..3).flat_map(|y| (0..3).map(move |x| (y, x))).find(|&(y, x)| held(y, x) != 1);
            match (covers(&shape, &parts), wrong) {
                (Ok(()), None) => {}
                (Err(found), Some((y, x))) => prop_assert!(found.ends_with(&format!("at [{y}, {x}]")), "{}", found),
                (verdict, wrong) => prop_assert!(false, "{verdict:?}, but counting finds {wrong:?}"),
            }
        }
    }
}
