//! A mesh of ranks with named axes, and how tensors are sharded over it: which rank holds which box of a tensor, and
//! which rank writes it.
//!
//! Every rank computes the boxes of every other rank from the mesh and the sharding of each tensor: ranks exchange no
//! message about boxes, and manifests list none.

mod sharding;
mod writer_assignment;

pub(crate) use sharding::{ChunkSizes, ShardDim, Sharding};
pub(crate) use writer_assignment::WriterAssignment;

/// Named axes and their sizes. Ranks are numbered in row-major order: neighbours along the last axis have consecutive
/// numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mesh {
    axes: Vec<(String, usize)>,
    /// The distance between the numbers of two neighbours along each axis.
    strides: Vec<usize>,
}

impl Mesh {
    pub(crate) fn new(axes: Vec<(String, usize)>) -> Self {
        let mut strides = vec![1; axes.len()];
        let mut stride = 1usize;
        for (own, (_, size)) in strides.iter_mut().zip(&axes).rev() {
            *own = stride;
            stride = stride.saturating_mul(*size);
        }
        Self { axes, strides }
    }

    pub(crate) fn axes(&self) -> &[(String, usize)] {
        &self.axes
    }

    /// The axes as manifests list them.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn records(&self) -> Vec<(String, u64)> {
        self.axes
            .iter()
            .map(|(name, size)| (name.clone(), *size as u64))
            .collect()
    }

    pub(crate) fn world_size(&self) -> usize {
        self.axes.iter().map(|(_, size)| size).product()
    }

    /// The axis of this name, if the mesh has it.
    pub(crate) fn axis(&self, name: &str) -> Option<usize> {
        self.axes.iter().position(|(axis, _)| axis == name)
    }

    pub(crate) fn size(&self, axis: usize) -> usize {
        self.axes[axis].1
    }

    /// The distance between the numbers of two neighbours along an axis.
    fn stride(&self, axis: usize) -> usize {
        self.strides[axis]
    }

    /// The coordinate of a rank along an axis.
    pub(crate) fn coordinate(&self, rank: usize, axis: usize) -> usize {
        rank / self.stride(axis) % self.size(axis)
    }

    /// The number of shards of a tensor that is sharded over some axes: the product of their sizes.
    pub(crate) fn shard_count(&self, axes: &[usize]) -> usize {
        axes.iter().map(|&axis| self.size(axis)).product()
    }

    /// The number of the shard that a rank holds of a tensor that is sharded over some axes, in row-major order: the
    /// first axis is the outermost.
    pub(crate) fn shard_index(&self, rank: usize, axes: &[usize]) -> usize {
        let places = axes.iter();
        places.fold(0, |at, &axis| at * self.size(axis) + self.coordinate(rank, axis))
    }

    /// The first rank that holds the same shard as `rank`, of a tensor that is sharded over some axes.
    pub(crate) fn first_replica(&self, rank: usize, axes: &[usize]) -> usize {
        self.rank_of_shard(self.shard_index(rank, axes), axes)
    }

    /// The first rank that holds the shard of this number: the reverse of [`shard_index`](Self::shard_index).
    fn rank_of_shard(&self, mut shard: usize, axes: &[usize]) -> usize {
        let mut rank = 0;
        for &axis in axes.iter().rev() {
            rank += shard % self.size(axis) * self.stride(axis);
            shard /= self.size(axis);
        }
        rank
    }
}

impl std::fmt::Display for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let axes: Vec<String> = self
            .axes
            .iter()
            .map(|(name, size)| format!("{name} = {size}"))
            .collect();
        write!(f, "({})", axes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_numbered_row_by_row() {
        let mesh = Mesh::new(vec![("dp".into(), 2), ("tp".into(), 3)]);
        assert_eq!(mesh.world_size(), 6);
        let places: Vec<_> = (0..6)
            .map(|rank| (mesh.coordinate(rank, 0), mesh.coordinate(rank, 1)))
            .collect();
        assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
    }

    #[test]
    fn places_in_any_grid_of_axes_lead_back_to_their_ranks() {
        let mesh = Mesh::new(vec![("a".into(), 2), ("b".into(), 3), ("c".into(), 4)]);
        for (inner, outer) in [(vec![0], vec![1, 2]), (vec![2, 0], vec![1]), (vec![], vec![2, 1, 0])] {
            for rank in 0..24 {
                let parts = (mesh.shard_index(rank, &inner), mesh.shard_index(rank, &outer));
                let back = mesh.rank_of_shard(parts.0, &inner) + mesh.rank_of_shard(parts.1, &outer);
                assert_eq!(back, rank);
            }
        }
    }

    #[test]
    fn a_mesh_without_axes_is_one_rank() {
        let mesh = Mesh::default();
        assert_eq!(
            (mesh.world_size(), mesh.shard_index(0, &[]), mesh.rank_of_shard(0, &[])),
            (1, 0, 0)
        );
    }
}
