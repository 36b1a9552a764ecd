//! The sharding of a tensor over a mesh, and the boxes that ranks hold.

use super::Mesh;
use crate::entry::Region;
use crate::hash::HashSet;

/// The sharding of a tensor: the dimensions that are split over axes of the mesh. Along the other axes the tensor is
/// replicated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sharding {
    /// The sharded dimensions, each once.
    pub(crate) dims: Vec<ShardDim>,
}

/// One dimension that is split over one or more axes of a mesh.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShardDim {
    pub(crate) dim: usize,
    /// Axes of the mesh, the outermost first.
    pub(crate) axes: Vec<usize>,
    pub(crate) sizes: ChunkSizes,
}

/// The lengths of the chunks of a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChunkSizes {
    /// Lengths that differ by at most one index, longer chunks first.
    Balanced,
    /// Chunks of this length, shorter or empty at the end: the chunks of `torch.chunk`.
    Chunked(usize),
    /// Any other lengths.
    Listed(Lengths),
}

/// The length of each chunk, stored as the ends of the chunks: a mesh may have a million of them.
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

    /// Returns true if there are `count` chunks, and `total` is the sum of their lengths.
    fn fill(&self, count: usize, total: usize) -> bool {
        self.ends.len() == count && self.ends.last().copied().unwrap_or(0) == total
    }
}

impl ChunkSizes {
    /// The shortest form of these lengths.
    pub(crate) fn of(lengths: Vec<usize>) -> Self {
        let total = lengths.iter().sum();
        let count = lengths.len();
        let same = |sizes: &Self| (0..count).all(|at| sizes.extent(at, count, total).1 == lengths[at]);
        let candidates = [Self::Balanced, Self::Chunked(lengths.first().copied().unwrap_or(0))];
        candidates
            .into_iter()
            .find(same)
            .unwrap_or(Self::Listed(lengths.into()))
    }

    /// The start and the length of chunk `at` of `count` chunks in a dimension of length `total`.
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

    /// The range of chunks that overlap the indices `from..to`.
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

/// The first number below `count` for which `before` is false, by binary search: `before` is true below it and false
/// from it on.
pub(super) fn lower_bound(count: usize, before: impl Fn(usize) -> bool) -> usize {
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

impl Sharding {
    /// The axes that no dimension is split over, in the mesh's order: ranks that differ only along these axes are
    /// replicas.
    pub(crate) fn free_axes(&self, mesh: &Mesh) -> Vec<usize> {
        let mut is_cut = vec![false; mesh.axes().len()];
        for axis in self.dims.iter().flat_map(|cut| &cut.axes) {
            is_cut[*axis] = true;
        }
        (0..is_cut.len()).filter(|axis| !is_cut[*axis]).collect()
    }

    /// Returns true if every rank holds the whole tensor.
    pub(crate) fn is_whole(&self) -> bool {
        self.dims.is_empty()
    }

    /// The box that a rank holds of a tensor of this shape.
    pub(crate) fn region(&self, mesh: &Mesh, shape: &[usize], rank: usize) -> Region {
        let mut region = Region::whole(shape);
        for cut in &self.dims {
            let (index, count) = (mesh.shard_index(rank, &cut.axes), mesh.shard_count(&cut.axes));
            let (start, len) = cut.sizes.extent(index, count, shape[cut.dim]);
            (region.offset[cut.dim], region.size[cut.dim]) = (start, len);
        }
        region
    }

    /// The sharding of the files if only the first replica of each box writes it: the first replicas have the boxes of
    /// this sharding, and the other ranks have empty boxes. `None` if the tensor has no dimensions.
    pub(crate) fn held_by_first_replicas(&self, mesh: &Mesh, shape: &[usize]) -> Option<Self> {
        let free = self.free_axes(mesh);
        let mut sharding = self.clone();
        let is_cut = |dim: usize| self.dims.iter().any(|cut| cut.dim == dim);
        if let Some(dim) = (0..shape.len()).find(|&dim| !is_cut(dim)) {
            sharding.dims.push(ShardDim {
                dim,
                axes: free,
                sizes: ChunkSizes::Chunked(shape[dim]),
            });
            sharding.dims.sort_by_key(|cut| cut.dim);
            return Some(sharding);
        }
        let cut = sharding.dims.last_mut()?;
        let (count, replicas) = (mesh.shard_count(&cut.axes), mesh.shard_count(&free));
        let lengths = (0..count * replicas).map(|at| {
            let (_, len) = cut.sizes.extent(at / replicas, count, shape[cut.dim]);
            if at % replicas == 0 { len } else { 0 }
        });
        cut.sizes = ChunkSizes::of(lengths.collect());
        cut.axes.extend(free);
        Some(sharding)
    }

    /// The number of a rank among the replicas of its box.
    pub(crate) fn replica_index(&self, mesh: &Mesh, rank: usize) -> usize {
        mesh.shard_index(rank, &self.free_axes(mesh))
    }

    /// Calls `take` with each box that overlaps `wanted`, and the first rank that holds the box.
    pub(crate) fn overlapping(
        &self,
        mesh: &Mesh,
        shape: &[usize],
        wanted: &Region,
        take: &mut dyn FnMut(&Region, usize),
    ) {
        let grid = Grid { mesh, shape, wanted };
        grid.descend(&self.dims, &mut Region::whole(shape), 0, take);
    }

    /// Checks the sharding against a mesh and a shape; the error names the dimension or the axis.
    pub(crate) fn check(&self, mesh: &Mesh, shape: &[usize]) -> Result<(), String> {
        let (mut dims, mut axes) = (HashSet::default(), HashSet::default());
        for cut in &self.dims {
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
            let count = mesh.shard_count(&cut.axes);
            let sound = match &cut.sizes {
                ChunkSizes::Balanced => true,
                ChunkSizes::Chunked(len) => len.checked_mul(count).is_some_and(|reach| reach >= total),
                ChunkSizes::Listed(lengths) => lengths.fill(count, total),
            };
            if !sound {
                return Err(format!(
                    "the chunks of dimension {} do not add up to its length, {total}",
                    cut.dim
                ));
            }
        }
        Ok(())
    }
}

/// A search for the boxes of a tensor that overlap `wanted`.
struct Grid<'g> {
    mesh: &'g Mesh,
    shape: &'g [usize],
    wanted: &'g Region,
}

impl Grid<'_> {
    /// Visits the chunks of the first sharded dimension, and in each of them those of the other dimensions.
    fn descend(&self, dims: &[ShardDim], region: &mut Region, rank: usize, take: &mut dyn FnMut(&Region, usize)) {
        let Some((cut, rest)) = dims.split_first() else {
            take(region, rank);
            return;
        };
        let (dim, count) = (cut.dim, self.mesh.shard_count(&cut.axes));
        let (from, len) = (self.wanted.offset[dim], self.wanted.size[dim]);
        for index in cut.sizes.overlapping(from, from + len, count, self.shape[dim]) {
            let (start, len) = cut.sizes.extent(index, count, self.shape[dim]);
            if len > 0 {
                (region.offset[dim], region.size[dim]) = (start, len);
                let rank = rank + self.mesh.rank_of_shard(index, &cut.axes);
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
        assert_eq!(ChunkSizes::of(vec![3, 3, 3]), ChunkSizes::Balanced);
        assert_eq!(ChunkSizes::of(vec![3, 3, 2, 2]), ChunkSizes::Balanced);
        assert_eq!(ChunkSizes::of(vec![3, 3, 3, 1]), ChunkSizes::Chunked(3));
        assert_eq!(ChunkSizes::of(vec![1, 1, 0, 0]), ChunkSizes::Balanced);
        assert_eq!(ChunkSizes::of(vec![2, 1, 0]), ChunkSizes::Chunked(2));
        assert_eq!(ChunkSizes::of(vec![1, 5, 0]), ChunkSizes::Listed(vec![1, 5, 0].into()));
    }

    #[test]
    fn cells_that_do_not_fill_the_dimension_are_refused() {
        let mesh = Mesh::new(vec![("a".into(), 3)]);
        let sharding = |dim, axes: &[usize], sizes| Sharding {
            dims: vec![ShardDim {
                dim,
                axes: axes.to_vec(),
                sizes,
            }],
        };
        assert_eq!(sharding(0, &[0], ChunkSizes::Balanced).check(&mesh, &[7, 2]), Ok(()));
        for (wrong, says) in [
            (sharding(2, &[0], ChunkSizes::Balanced), "dimension 2"),
            (sharding(0, &[1], ChunkSizes::Balanced), "axis 1"),
            (sharding(0, &[0, 0], ChunkSizes::Balanced), "axis 0"),
            (sharding(0, &[0], ChunkSizes::Chunked(2)), "length, 7"),
            (sharding(0, &[0], ChunkSizes::Listed(vec![3, 4].into())), "length, 7"),
            (
                sharding(0, &[0], ChunkSizes::Listed(vec![usize::MAX, 8, 0].into())),
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
        /// The boxes tile the tensor, and `overlapping` finds those that overlap.
        #[test]
        fn boxes_tile_the_tensor(lengths in (1..4usize, 1..4usize).prop_flat_map(|(a, b)| (cells(a), cells(b))),
                                 from in (0..6usize, 0..6usize), size in (0..6usize, 0..6usize)) {
            let mesh = Mesh::new(vec![("a".into(), lengths.0.len()), ("f".into(), 2), ("b".into(), lengths.1.len())]);
            let shape = [lengths.0.iter().sum::<usize>(), lengths.1.iter().sum()];
            let cut = |dim, axis, lengths: &[usize]| ShardDim { dim, axes: vec![axis], sizes: ChunkSizes::of(lengths.to_vec()) };
            let sharding = Sharding { dims: vec![cut(0, 0, &lengths.0), cut(1, 2, &lengths.1)] };
            prop_assert_eq!(sharding.check(&mesh, &shape), Ok(()));
            let alone = sharding.held_by_first_replicas(&mesh, &shape).unwrap();
            prop_assert_eq!(alone.check(&mesh, &shape), Ok(()));
            for rank in 0..mesh.world_size() {
                let held = alone.region(&mesh, &shape, rank);
                if sharding.replica_index(&mesh, rank) == 0 {
                    prop_assert_eq!(held, sharding.region(&mesh, &shape, rank));
                } else {
                    prop_assert!(held.size.contains(&0));
                }
            }
            let first: Vec<usize> = (0..mesh.world_size()).filter(|&rank| sharding.replica_index(&mesh, rank) == 0).collect();
            let regions: Vec<Region> = first.iter().map(|&rank| sharding.region(&mesh, &shape, rank)).collect();
            prop_assert_eq!(covers(&shape, &regions), Ok(()));

            let offset = vec![from.0.min(shape[0]), from.1.min(shape[1])];
            let size = vec![size.0.min(shape[0] - offset[0]), size.1.min(shape[1] - offset[1])];
            let wanted = Region { offset, size };
            let mut found = Vec::new();
            sharding.overlapping(&mesh, &shape, &wanted, &mut |region, rank| found.push((region.clone(), rank)));
            let expected: Vec<_> = regions.into_iter().zip(first).filter(|(r, _)| r.overlap(&wanted).is_some()).collect();
            let held: Vec<_> = found.into_iter().filter(|(r, _)| r.overlap(&wanted).is_some()).collect();
            prop_assert_eq!(held, expected);
        }
    }
}
