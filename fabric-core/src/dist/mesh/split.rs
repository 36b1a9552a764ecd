//! How a tensor is cut over a mesh, and the boxes that come of it.

use super::Mesh;
use crate::entry::Region;
use crate::hash::HashSet;

/// How a tensor lies over a mesh: cut along some of its dimensions. Along the axes that no cut uses, it is replicated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Split {
    /// One for each dimension that is cut.
    pub(crate) cuts: Vec<Cut>,
}

/// One dimension, cut over one or more axes of a mesh.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cut {
    pub(crate) dim: usize,
    /// Axes of the mesh, the outermost first.
    pub(crate) axes: Vec<usize>,
    pub(crate) cells: Cells,
}

/// How long the pieces of a dimension are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cells {
    /// As equal as can be, longer ones first.
    Balanced,
    /// All of this length but for those at the end: the way of PyTorch.
    Chunked(usize),
    /// Anything else.
    Listed(Lengths),
}

/// Lengths of pieces one by one, kept as the places where pieces end: a mesh may have a million of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lengths {
    ends: Vec<usize>,
}

impl From<Vec<usize>> for Lengths {
    fn from(mut lengths: Vec<usize>) -> Self {
        let mut end = 0usize;
        for length in &mut lengths {
            end = end.saturating_add(*length);
            *length = end;
        }
        Self { ends: lengths }
    }
}

impl Lengths {
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.ends.len()).map(|at| self.extent(at).1)
    }

    fn extent(&self, at: usize) -> (usize, usize) {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        (start, self.ends[at] - start)
    }

    /// Whether so many pieces make this length.
    fn make(&self, count: usize, total: usize) -> bool {
        self.ends.len() == count && self.ends.last().copied().unwrap_or(0) == total
    }
}

impl Cells {
    /// The shortest way to say that the pieces are this long.
    pub(crate) fn of(lengths: Vec<usize>) -> Self {
        let total = lengths.iter().sum();
        let count = lengths.len();
        let same = |cells: &Self| (0..count).all(|at| cells.extent(at, count, total).1 == lengths[at]);
        let candidates = [Self::Balanced, Self::Chunked(lengths.first().copied().unwrap_or(0))];
        candidates
            .into_iter()
            .find(same)
            .unwrap_or(Self::Listed(lengths.into()))
    }

    /// Where the piece at `at` of `count` begins in a dimension of length `total`, and how long it is.
    pub(crate) fn extent(&self, at: usize, count: usize, total: usize) -> (usize, usize) {
        let start = |at: usize| match self {
            Self::Balanced => at * (total / count) + at.min(total % count),
            Self::Chunked(len) => at.saturating_mul(*len).min(total),
            Self::Listed(lengths) => lengths.extent(at).0,
        };
        match self {
            Self::Listed(lengths) => lengths.extent(at),
            _ => (start(at), start(at + 1) - start(at)),
        }
    }

    /// The pieces that hold any of `from..to`, as a range of their numbers.
    fn overlapping(&self, from: usize, to: usize, count: usize, total: usize) -> std::ops::Range<usize> {
        let end = |at: usize| {
            let (start, len) = self.extent(at, count, total);
            start + len
        };
        let first = lower_bound(count, |at| end(at) <= from);
        let last = lower_bound(count, |at| self.extent(at, count, total).0 < to);
        first..last.max(first)
    }
}

/// The first number below `count` for which `before` no longer holds; it holds for none after that.
pub(crate) fn lower_bound(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

impl Split {
    /// The axes along which the tensor is not cut, in the mesh's order: ranks that differ only there are replicas.
    pub(crate) fn free_axes(&self, mesh: &Mesh) -> Vec<usize> {
        let mut is_cut = vec![false; mesh.axes().len()];
        for axis in self.cuts.iter().flat_map(|cut| &cut.axes) {
            is_cut[*axis] = true;
        }
        (0..is_cut.len()).filter(|axis| !is_cut[*axis]).collect()
    }

    /// Whether each rank holds all of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.cuts.is_empty()
    }

    /// The box that a rank holds of a tensor of this shape.
    pub(crate) fn region(&self, mesh: &Mesh, shape: &[usize], rank: usize) -> Region {
        let mut region = Region::whole(shape);
        for cut in &self.cuts {
            let (cell, count) = (mesh.cell(rank, &cut.axes), mesh.cells(&cut.axes));
            let (start, len) = cut.cells.extent(cell, count, shape[cut.dim]);
            (region.offset[cut.dim], region.size[cut.dim]) = (start, len);
        }
        region
    }

    /// The same boxes as a file holds them that only the first replica of each writes: the others hold nothing. `None` if the
    /// tensor has no dimensions.
    pub(crate) fn of_first_replicas(&self, mesh: &Mesh, shape: &[usize]) -> Option<Self> {
        let free = self.free_axes(mesh);
        let mut split = self.clone();
        let is_cut = |dim: usize| self.cuts.iter().any(|cut| cut.dim == dim);
        if let Some(dim) = (0..shape.len()).find(|&dim| !is_cut(dim)) {
            split.cuts.push(Cut {
                dim,
                axes: free,
                cells: Cells::Chunked(shape[dim]),
            });
            split.cuts.sort_by_key(|cut| cut.dim);
            return Some(split);
        }
        let cut = split.cuts.last_mut()?;
        let (count, replicas) = (mesh.cells(&cut.axes), mesh.cells(&free));
        let lengths = (0..count * replicas).map(|at| {
            let (_, len) = cut.cells.extent(at / replicas, count, shape[cut.dim]);
            if at % replicas == 0 { len } else { 0 }
        });
        cut.cells = Cells::of(lengths.collect());
        cut.axes.extend(free);
        Some(split)
    }

    /// A rank's number among those that hold the same box.
    pub(crate) fn replica(&self, mesh: &Mesh, rank: usize) -> usize {
        mesh.cell(rank, &self.free_axes(mesh))
    }

    /// Calls `take` with each box that has anything of `wanted`, and the first rank that holds it.
    pub(crate) fn overlapping(
        &self,
        mesh: &Mesh,
        shape: &[usize],
        wanted: &Region,
        take: &mut dyn FnMut(&Region, usize),
    ) {
        let grid = Grid { mesh, shape, wanted };
        grid.descend(&self.cuts, &mut Region::whole(shape), 0, take);
    }

    /// Says why this cannot be how a tensor of `shape` lies over `mesh`, if it cannot.
    pub(crate) fn check(&self, mesh: &Mesh, shape: &[usize]) -> Result<(), String> {
        let (mut dims, mut axes) = (HashSet::default(), HashSet::default());
        for cut in &self.cuts {
            let Some(&total) = shape.get(cut.dim) else {
                return Err(format!(
                    "it is cut along dimension {}, and its shape is {shape:?}",
                    cut.dim
                ));
            };
            if !dims.insert(cut.dim) {
                return Err(format!("dimension {} is cut twice", cut.dim));
            }
            for axis in &cut.axes {
                if *axis >= mesh.axes().len() || !axes.insert(*axis) {
                    return Err(format!("axis {axis} of the mesh {mesh} is unknown, or cuts it twice"));
                }
            }
            let count = mesh.cells(&cut.axes);
            let sound = match &cut.cells {
                Cells::Balanced => true,
                Cells::Chunked(len) => len.checked_mul(count).is_some_and(|reach| reach >= total),
                Cells::Listed(lengths) => lengths.make(count, total),
            };
            if !sound {
                return Err(format!(
                    "the pieces of dimension {} do not make its length, {total}",
                    cut.dim
                ));
            }
        }
        Ok(())
    }
}

/// The boxes of a tensor, of which those are looked for that have anything of `wanted`.
struct Grid<'g> {
    mesh: &'g Mesh,
    shape: &'g [usize],
    wanted: &'g Region,
}

impl Grid<'_> {
    /// Goes through the cells of the first cut, and of the others in each of them.
    fn descend(&self, cuts: &[Cut], region: &mut Region, rank: usize, take: &mut dyn FnMut(&Region, usize)) {
        let Some((cut, rest)) = cuts.split_first() else {
            take(region, rank);
            return;
        };
        let (dim, count) = (cut.dim, self.mesh.cells(&cut.axes));
        let (from, len) = (self.wanted.offset[dim], self.wanted.size[dim]);
        for cell in cut.cells.overlapping(from, from + len, count, self.shape[dim]) {
            let (start, len) = cut.cells.extent(cell, count, self.shape[dim]);
            if len > 0 {
                (region.offset[dim], region.size[dim]) = (start, len);
                let rank = rank + self.mesh.rank_of_cell(cell, &cut.axes);
                self.descend(rest, region, rank, take);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::covers;

    #[test]
    fn lengths_are_said_in_the_shortest_way() {
        assert_eq!(Cells::of(vec![3, 3, 3]), Cells::Balanced);
        assert_eq!(Cells::of(vec![3, 3, 2, 2]), Cells::Balanced);
        assert_eq!(Cells::of(vec![3, 3, 3, 1]), Cells::Chunked(3));
        assert_eq!(Cells::of(vec![1, 1, 0, 0]), Cells::Balanced);
        assert_eq!(Cells::of(vec![2, 1, 0]), Cells::Chunked(2));
        assert_eq!(Cells::of(vec![1, 5, 0]), Cells::Listed(vec![1, 5, 0].into()));
    }

    #[test]
    fn cells_that_do_not_fill_the_dimension_are_refused() {
        let mesh = Mesh::new(vec![("a".into(), 3)]);
        let split = |dim, axes: &[usize], cells| Split {
            cuts: vec![Cut {
                dim,
                axes: axes.to_vec(),
                cells,
            }],
        };
        assert_eq!(split(0, &[0], Cells::Balanced).check(&mesh, &[7, 2]), Ok(()));
        for (wrong, says) in [
            (split(2, &[0], Cells::Balanced), "dimension 2"),
            (split(0, &[1], Cells::Balanced), "axis 1"),
            (split(0, &[0, 0], Cells::Balanced), "axis 0"),
            (split(0, &[0], Cells::Chunked(2)), "length, 7"),
            (split(0, &[0], Cells::Listed(vec![3, 4].into())), "length, 7"),
            (
                split(0, &[0], Cells::Listed(vec![usize::MAX, 8, 0].into())),
                "length, 7",
            ),
        ] {
            let found = wrong.check(&mesh, &[7, 2]).unwrap_err();
            assert!(found.contains(says), "{says:?} is not in {found:?}");
        }
    }

    fn cells(count: usize) -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(0..4usize, count)
    }

    proptest! {
        /// Boxes tile the tensor, and what overlaps is found.
        #[test]
        fn boxes_tile_the_tensor(lengths in (1..4usize, 1..4usize).prop_flat_map(|(a, b)| (cells(a), cells(b))),
                                 from in (0..6usize, 0..6usize), size in (0..6usize, 0..6usize)) {
            let mesh = Mesh::new(vec![("a".into(), lengths.0.len()), ("f".into(), 2), ("b".into(), lengths.1.len())]);
            let shape = [lengths.0.iter().sum::<usize>(), lengths.1.iter().sum()];
            let cut = |dim, axis, lengths: &[usize]| Cut { dim, axes: vec![axis], cells: Cells::of(lengths.to_vec()) };
            let split = Split { cuts: vec![cut(0, 0, &lengths.0), cut(1, 2, &lengths.1)] };
            prop_assert_eq!(split.check(&mesh, &shape), Ok(()));
            let alone = split.of_first_replicas(&mesh, &shape).unwrap();
            prop_assert_eq!(alone.check(&mesh, &shape), Ok(()));
            for rank in 0..mesh.world_size() {
                let held = alone.region(&mesh, &shape, rank);
                if split.replica(&mesh, rank) == 0 {
                    prop_assert_eq!(held, split.region(&mesh, &shape, rank));
                } else {
                    prop_assert!(held.size.contains(&0));
                }
            }
            let first: Vec<usize> = (0..mesh.world_size()).filter(|&rank| split.replica(&mesh, rank) == 0).collect();
            let regions: Vec<Region> = first.iter().map(|&rank| split.region(&mesh, &shape, rank)).collect();
            prop_assert_eq!(covers(&shape, &regions), Ok(()));

            let offset = vec![from.0.min(shape[0]), from.1.min(shape[1])];
            let size = vec![size.0.min(shape[0] - offset[0]), size.1.min(shape[1] - offset[1])];
            let wanted = Region { offset, size };
            let mut found = Vec::new();
            split.overlapping(&mesh, &shape, &wanted, &mut |region, rank| found.push((region.clone(), rank)));
            let expected: Vec<_> = regions.into_iter().zip(first).filter(|(r, _)| r.overlap(&wanted).is_some()).collect();
            let held: Vec<_> = found.into_iter().filter(|(r, _)| r.overlap(&wanted).is_some()).collect();
            prop_assert_eq!(held, expected);
        }
    }
}
