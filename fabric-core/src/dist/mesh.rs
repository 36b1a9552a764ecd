//! Ranks in a grid with named axes, and how tensors lie over it: which rank holds which box, and which rank writes it.
//!
//! Everything here follows from the mesh and from how each tensor is cut, so every rank can say it of every other rank:
//! nothing is asked, and nothing is stored, for each rank and tensor.

mod deal;
mod split;

pub(crate) use deal::Deal;
pub(crate) use split::{Cells, Cut, Split};

/// Named axes and their sizes. Ranks are numbered row by row: the last axis is the one along which neighbours lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mesh {
    axes: Vec<(String, usize)>,
    /// For each axis, how far apart in number two neighbours along it are.
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

    /// How far apart in number two neighbours along an axis are.
    fn stride(&self, axis: usize) -> usize {
        self.strides[axis]
    }

    /// A rank's place along an axis.
    pub(crate) fn coordinate(&self, rank: usize, axis: usize) -> usize {
        rank / self.stride(axis) % self.size(axis)
    }

    /// The product of the sizes of some axes.
    pub(crate) fn cells(&self, axes: &[usize]) -> usize {
        axes.iter().map(|&axis| self.size(axis)).product()
    }

    /// A rank's place in the grid that some axes span, counted row by row: the first of them is the outermost.
    pub(crate) fn cell(&self, rank: usize, axes: &[usize]) -> usize {
        let places = axes.iter();
        places.fold(0, |at, &axis| at * self.size(axis) + self.coordinate(rank, axis))
    }

    /// The first rank with a rank's places along some axes: the first of its replicas, for a tensor that is cut over them.
    pub(crate) fn first_replica(&self, rank: usize, axes: &[usize]) -> usize {
        self.rank_of_cell(self.cell(rank, axes), axes)
    }

    /// What a place in the grid that some axes span adds to the number of a rank: the reverse of [`cell`](Self::cell).
    fn rank_of_cell(&self, mut cell: usize, axes: &[usize]) -> usize {
        let mut rank = 0;
        for &axis in axes.iter().rev() {
            rank += cell % self.size(axis) * self.stride(axis);
            cell /= self.size(axis);
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
                let parts = (mesh.cell(rank, &inner), mesh.cell(rank, &outer));
                let back = mesh.rank_of_cell(parts.0, &inner) + mesh.rank_of_cell(parts.1, &outer);
                assert_eq!(back, rank);
            }
        }
    }

    #[test]
    fn a_mesh_without_axes_is_one_rank() {
        let mesh = Mesh::default();
        assert_eq!(
            (mesh.world_size(), mesh.cell(0, &[]), mesh.rank_of_cell(0, &[])),
            (1, 0, 0)
        );
    }
}
