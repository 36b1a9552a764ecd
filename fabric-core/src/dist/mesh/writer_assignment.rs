//! The assignment of boxes to the ranks that write them: each box once, by one of its replicas, large boxes in pieces.
//!
//! Tensors that are replicated over the same axes form a replica group. The boxes of a group, in order, are divided
//! evenly among as many replicas as get at least [`MIN_WRITE`] bytes each: small replicas lie together, in few files. A
//! tensor whose box is longer than a replica's share is cut into equal pieces. The replica whose share holds the middle
//! of a piece writes the piece, so every writer writes about its share, whatever the lengths of the boxes are.
//!
//! The assignment is a part of the file format: a reader computes from it which file holds a box. `docs/format.md` has
//! it in full.

use super::{Mesh, Sharding};
use crate::entry::{Region, TensorInfo};
use crate::hash::HashMap;

/// No replica writes fewer bytes if another replica can write them too: small files are no gain.
const MIN_WRITE: u64 = 1 << 20;

/// The writers of tensors in a given order.
#[derive(Debug)]
pub(crate) struct WriterAssignment {
    mesh: Mesh,
    tensors: Vec<AssignedTensor>,
    groups: Vec<ReplicaGroup>,
}

/// The tensors that are replicated over the same axes, with the sum of the lengths of their boxes in bytes.
#[derive(Debug)]
struct ReplicaGroup {
    axes: Vec<usize>,
    replicas: usize,
    len: u64,
}

impl ReplicaGroup {
    /// The number of replicas that write: the first ones.
    fn writers(&self) -> u64 {
        (self.len / MIN_WRITE).clamp(1, self.replicas as u64)
    }
}

#[derive(Debug)]
struct AssignedTensor {
    shape: Vec<usize>,
    sharding: Sharding,
    group: usize,
    /// The offset of its box among the boxes of the group and the length of its box in bytes, as if all boxes were of
    /// equal length.
    from: u64,
    len: u64,
    /// The dimension along which its box is cut into pieces, and the number of pieces.
    along: usize,
    pieces: usize,
}

impl WriterAssignment {
    /// Assigns tensors to the ranks of a mesh. Their shardings have been [checked](Sharding::check).
    pub(crate) fn new(mesh: Mesh, tensors: impl IntoIterator<Item = (TensorInfo, Sharding)>) -> Self {
        let mut groups: Vec<ReplicaGroup> = Vec::new();
        let mut known: HashMap<Vec<usize>, usize> = HashMap::default();
        let mut assigned = Vec::new();
        for (info, sharding) in tensors {
            let axes = sharding.free_axes(&mesh);
            let group = *known.entry(axes).or_insert_with_key(|axes| {
                let (axes, replicas) = (axes.clone(), mesh.shard_count(axes));
                groups.push(ReplicaGroup { axes, replicas, len: 0 });
                groups.len() - 1
            });
            let boxes = mesh.world_size() / groups[group].replicas;
            let len = (info.byte_len().unwrap_or_default() as u64).div_ceil(boxes as u64);
            let along = info.shape().iter().position(|&len| len > 1).unwrap_or(0);
            assigned.push(AssignedTensor {
                shape: info.shape().to_vec(),
                sharding,
                group,
                from: groups[group].len,
                len,
                along,
                // Elements smaller than a byte are not taken apart.
                pieces: usize::from(info.dtype().bits() >= 8),
            });
            groups[group].len += len;
        }
        for tensor in &mut assigned {
            tensor.pieces = tensor.count_pieces(&groups[tensor.group]);
        }
        Self {
            mesh,
            tensors: assigned,
            groups,
        }
    }

    /// The box of a tensor that a rank writes: the box that it holds, or a piece of that; `None` if it writes nothing
    /// of the tensor.
    pub(crate) fn region_written_by(&self, tensor: usize, rank: usize) -> Option<Region> {
        let assigned = &self.tensors[tensor];
        let group = &self.groups[assigned.group];
        let whole = assigned.sharding.region(&self.mesh, &assigned.shape, rank);
        let replica = self.mesh.shard_index(rank, &group.axes);
        let first = super::sharding::lower_bound(assigned.pieces, |piece| {
            assigned.writing_replica(piece, group) < replica
        });
        let last = super::sharding::lower_bound(assigned.pieces, |piece| {
            assigned.writing_replica(piece, group) <= replica
        });
        assigned.pieces_region(&whole, first, last)
    }

    /// Calls `take` with each written box that overlaps `wanted`, and the rank that writes it.
    pub(crate) fn overlapping(&self, tensor: usize, wanted: &Region, take: &mut dyn FnMut(Region, usize)) {
        let assigned = &self.tensors[tensor];
        let group = &self.groups[assigned.group];
        assigned
            .sharding
            .overlapping(&self.mesh, &assigned.shape, wanted, &mut |whole, rank| {
                let mut first = 0;
                while first < assigned.pieces {
                    let replica = assigned.writing_replica(first, group);
                    let mut last = first + 1;
                    while last < assigned.pieces && assigned.writing_replica(last, group) == replica {
                        last += 1;
                    }
                    if let Some(piece) = assigned.pieces_region(whole, first, last)
                        && piece.overlap(wanted).is_some()
                    {
                        take(piece, rank + self.mesh.rank_of_shard(replica, &group.axes));
                    }
                    first = last;
                }
            });
    }
}

impl AssignedTensor {
    fn count_pieces(&self, group: &ReplicaGroup) -> usize {
        if self.pieces == 0 || group.replicas == 1 || self.len <= MIN_WRITE {
            return 1;
        }
        let share = group.len.div_ceil(group.writers());
        let most = self.shape.get(self.along).copied().unwrap_or(1).max(1);
        usize::try_from(self.len.div_ceil(share))
            .unwrap_or(usize::MAX)
            .min(most)
    }

    /// The replica that writes a piece.
    fn writing_replica(&self, piece: usize, group: &ReplicaGroup) -> usize {
        if group.len == 0 {
            return 0;
        }
        let (piece, pieces) = (piece as u128, self.pieces as u128);
        let middle = u128::from(self.from) * 2 * pieces + u128::from(self.len) * (2 * piece + 1);
        let replica = middle * u128::from(group.writers()) / (u128::from(group.len) * 2 * pieces);
        usize::try_from(replica).unwrap_or(usize::MAX).min(group.replicas - 1)
    }

    /// The region of some consecutive pieces of a box; `None` if it is empty.
    fn pieces_region(&self, whole: &Region, first: usize, last: usize) -> Option<Region> {
        if first >= last || whole.size.contains(&0) {
            return None;
        }
        let mut region = whole.clone();
        if last - first < self.pieces {
            let len = whole.size[self.along];
            let start = |piece: usize| {
                // Both are below 2^64, so the product fits.
                let at = (piece as u128) * (len as u128) / (self.pieces as u128);
                usize::try_from(at).unwrap_or(len)
            };
            let (from, to) = (start(first), start(last));
            region.offset[self.along] += from;
            region.size[self.along] = to - from;
        }
        (!region.size.contains(&0)).then_some(region)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{ChunkSizes, ShardDim};
    use super::*;
    use crate::entry::{DType, covers};

    fn mesh(axes: &[(&str, usize)]) -> Mesh {
        Mesh::new(axes.iter().map(|&(name, size)| (name.to_owned(), size)).collect())
    }

    fn floats(shape: &[usize]) -> TensorInfo {
        TensorInfo::new(DType::F32, shape.to_vec())
    }

    /// The bytes that each rank writes.
    fn loads(mesh: &Mesh, tensors: &[(TensorInfo, Sharding)]) -> Vec<usize> {
        let assignment = WriterAssignment::new(mesh.clone(), tensors.iter().cloned());
        let own = |rank| {
            (0..tensors.len())
                .filter_map(|tensor| assignment.region_written_by(tensor, rank))
                .map(|region: Region| region.size.iter().product::<usize>() * 4)
                .sum()
        };
        (0..mesh.world_size()).map(own).collect()
    }

    #[test]
    fn small_replicas_lie_together() {
        let mesh = mesh(&[("dp", 4)]);
        let tensors: Vec<_> = (0..8).map(|_| (floats(&[16, 4]), Sharding::default())).collect();
        assert_eq!(loads(&mesh, &tensors), [8 * 256, 0, 0, 0]);
    }

    #[test]
    fn replicas_are_dealt_out_evenly_to_as_many_as_have_enough_to_write() {
        let mesh = mesh(&[("dp", 4)]);
        let tensors: Vec<_> = (0..8).map(|_| (floats(&[1 << 16]), Sharding::default())).collect();
        assert_eq!(loads(&mesh, &tensors), [1 << 20, 1 << 20, 0, 0]);
        let tensors: Vec<_> = (0..32).map(|_| (floats(&[1 << 16]), Sharding::default())).collect();
        assert_eq!(loads(&mesh, &tensors), [2 << 20; 4]);
    }

    #[test]
    fn a_large_replica_is_written_in_pieces() {
        let mesh = mesh(&[("dp", 4)]);
        let tensors = [
            (floats(&[1024, 2048]), Sharding::default()),
            (floats(&[8]), Sharding::default()),
        ];
        let loads = loads(&mesh, &tensors);
        assert_eq!(loads.iter().sum::<usize>(), 8 * 1024 * 1024 + 32);
        assert!(loads.iter().all(|load| load.abs_diff(2 << 20) < 16 << 10), "{loads:?}");
    }

    #[test]
    fn uneven_tensors_leave_no_rank_with_more_than_one_tensor_too_much() {
        let mesh = mesh(&[("dp", 3)]);
        let tensors: Vec<_> = (1..40)
            .map(|rows| (floats(&[rows * 7, 500]), Sharding::default()))
            .collect();
        let loads = loads(&mesh, &tensors);
        let (share, largest) = (loads.iter().sum::<usize>() / 3, 39 * 7 * 500 * 4);
        assert!(loads.iter().all(|load| load.abs_diff(share) <= largest), "{loads:?}");
    }

    #[test]
    fn a_shard_is_written_by_the_rank_that_holds_it() {
        let mesh = mesh(&[("dp", 2), ("tp", 2)]);
        let columns = Sharding {
            dims: vec![ShardDim {
                dim: 1,
                axes: vec![1],
                sizes: ChunkSizes::Balanced,
            }],
        };
        let info = floats(&[4, 6]);
        let assignment = WriterAssignment::new(mesh, [(info, columns)]);
        let own: Vec<_> = (0..4)
            .map(|rank| assignment.region_written_by(0, rank).map(|region| region.to_string()))
            .collect();
        // One small tensor, two replicas of each half: the first of them writes.
        assert_eq!(
            own,
            [
                Some("[4, 3] at [0, 0]".into()),
                Some("[4, 3] at [0, 3]".into()),
                None,
                None
            ]
        );
    }

    #[test]
    fn tensors_without_elements_are_written_by_nobody() {
        let mesh = mesh(&[("dp", 2)]);
        let info = floats(&[0, 3]);
        let assignment = WriterAssignment::new(mesh, [(info, Sharding::default())]);
        assert_eq!(
            (assignment.region_written_by(0, 0), assignment.region_written_by(0, 1)),
            (None, None)
        );
    }

    proptest! {
        /// The written boxes tile every tensor, and a reader of any box finds their writers.
        #[test]
        fn everything_is_written_once_and_found(
            rows in 0..9usize, columns in 0..9usize, ranks in (1..4usize, 1..4usize, 1..3usize), cut in 0..4usize,
            large in any::<bool>(),
        ) {
            let mesh = mesh(&[("a", ranks.0), ("b", ranks.1), ("c", ranks.2)]);
            let shape = if large { vec![rows, 1 << 17, columns] } else { vec![rows, 3, columns] };
            let dims = match cut {
                0 => vec![],
                1 => vec![ShardDim { dim: 0, axes: vec![1], sizes: ChunkSizes::Balanced }],
                2 => vec![ShardDim { dim: 2, axes: vec![0], sizes: ChunkSizes::Chunked(columns.div_ceil(ranks.0)) }],
                _ => vec![ShardDim { dim: 0, axes: vec![2, 0], sizes: ChunkSizes::Balanced }, ShardDim { dim: 2, axes: vec![1], sizes: ChunkSizes::Balanced }],
            };
            let (info, sharding, other) = (floats(&shape), Sharding { dims }, floats(&[1000]));
            let assignment = WriterAssignment::new(mesh.clone(), [(other, sharding.clone()), (info, sharding.clone())].into_iter().filter(|(i, _)| sharding.check(&mesh, i.shape()).is_ok()));
            let tensor = assignment.tensors.len() - 1;
            let written: Vec<(Region, usize)> = (0..mesh.world_size()).filter_map(|rank| Some((assignment.region_written_by(tensor, rank)?, rank))).collect();
            let regions: Vec<Region> = written.iter().map(|(region, _)| region.clone()).collect();
            prop_assert_eq!(covers(&shape, &regions), Ok(()));
            let mut found = Vec::new();
            assignment.overlapping(tensor, &Region::whole(&shape), &mut |region, rank| found.push((region, rank)));
            found.sort_by_key(|(_, rank)| *rank);
            prop_assert_eq!(found, written);
        }
    }
}
