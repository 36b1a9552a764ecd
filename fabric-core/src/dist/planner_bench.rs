//! The cost of planning for thousands of ranks, for benchmarks: the plans of a save and of a load without a state, and
//! the comparison of replicas. Not a part of the public interface.

use candle_core::Tensor;

use crate::dist::manifest::record;
use crate::dist::mesh::{ChunkSizes, Mesh, ShardDim, Sharding, WriterAssignment};
use crate::dist::save::fingerprint::Fingerprint;
use crate::entry::{DType, TensorInfo};
use crate::error::Result;
use crate::format::manifest::{Body, Manifest, ManifestHead, ManifestKind};

/// A shape, and its sharded dimensions, each over one axis: (dimension, axis).
pub type CutShape = (Vec<usize>, Vec<(usize, usize)>);

/// Tensors of `f32`, sharded over a mesh.
#[derive(Clone, Debug)]
pub struct World {
    mesh: Mesh,
    tensors: Vec<(TensorInfo, Sharding)>,
}

impl World {
    /// A mesh of axes with their sizes, and tensors with their shapes and sharded dimensions.
    #[must_use]
    pub fn new(axes: &[(&str, usize)], tensors: &[CutShape]) -> Self {
        let cut = |&(dim, axis): &(usize, usize)| ShardDim {
            dim,
            axes: vec![axis],
            sizes: ChunkSizes::Balanced,
        };
        let tensors = tensors.iter().map(|(shape, cuts)| {
            let sharding = Sharding {
                dims: cuts.iter().map(cut).collect(),
            };
            (TensorInfo::new(DType::F32, shape.clone()), sharding)
        });
        Self {
            mesh: Mesh::new(axes.iter().map(|&(name, size)| (name.to_owned(), size)).collect()),
            tensors: tensors.collect(),
        }
    }

    /// Assigns boxes to every rank: returns the number of boxes, and the bytes of the rank with the most.
    #[must_use]
    pub fn plan_save(&self) -> (usize, u64) {
        let assignment = WriterAssignment::new(self.mesh.clone(), self.tensors.iter().cloned());
        let (mut boxes, mut most) = (0, 0);
        for rank in 0..self.mesh.world_size() {
            let mut bytes = 0;
            for tensor in 0..self.tensors.len() {
                if let Some(region) = assignment.region_written_by(tensor, rank) {
                    boxes += 1;
                    bytes += region.size.iter().product::<usize>() as u64 * 4;
                }
            }
            most = most.max(bytes);
        }
        (boxes, most)
    }

    /// Finds, for every rank of `to` and the same tensors, the boxes that it reads from the files of this world:
    /// returns the number of boxes.
    #[must_use]
    pub fn plan_load(&self, to: &Self) -> usize {
        let assignment = WriterAssignment::new(self.mesh.clone(), self.tensors.iter().cloned());
        let mut boxes = 0;
        for rank in 0..to.mesh.world_size() {
            for (tensor, (info, sharding)) in to.tensors.iter().enumerate() {
                let wanted = sharding.region(&to.mesh, info.shape(), rank);
                assignment.overlapping(tensor, &wanted, &mut |_, _| boxes += 1);
            }
        }
        boxes
    }

    /// The length of the manifest in bytes; 0 if there can be none.
    #[must_use]
    pub fn manifest_len(&self) -> usize {
        let tensors = self.tensors.iter().enumerate();
        let record = |(number, (info, sharding)): (usize, &(TensorInfo, Sharding))| {
            record(&format!("layers.{number:06}.weight"), info, sharding)
        };
        let manifest = Manifest {
            head: ManifestHead {
                kind: ManifestKind::Directory,
                mesh: self.mesh.records(),
                generation: "g-0123456789abcdef".to_owned(),
                ..ManifestHead::default()
            },
            body: Body {
                tensors: tensors.map(record).collect(),
                ..Body::default()
            },
        };
        manifest.encode().map_or(0, |bytes| bytes.len())
    }
}

/// Reads what a save reads of these tensors to compare replicas: small tensors whole, others by a sample, or all
/// tensors whole with `whole`.
///
/// # Errors
/// If candle cannot read a tensor.
pub fn read_to_compare(tensors: &[Tensor], whole: bool) -> Result<()> {
    tensors
        .iter()
        .try_for_each(|tensor| Fingerprint::of("a tensor", tensor, whole).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(count: usize) -> Vec<CutShape> {
        (0..count)
            .map(|number| (vec![40_000, 64 + number], vec![(0, 0)]))
            .collect()
    }

    #[test]
    fn the_manifest_grows_with_tensors_and_not_with_ranks() {
        let len = |ranks, count| World::new(&[("fsdp", ranks)], &tensors(count)).manifest_len();
        let (one, many) = (len(1, 100), len(10_000, 100));
        assert!(one > 100 * 30);
        assert!(many - one < 16, "{one} bytes for one rank, {many} for ten thousand");
        assert!(len(10_000, 200) > many + 100 * 30);
    }

    #[test]
    fn every_box_is_written_once_and_read_by_those_who_need_it() {
        let four = World::new(&[("fsdp", 4)], &tensors(10));
        let three = World::new(&[("fsdp", 3)], &tensors(10));
        let (boxes, most) = four.plan_save();
        assert_eq!(boxes, 4 * 10);
        let all: u64 = (0..10).map(|number| 40_000 * (64 + number) * 4).sum();
        assert_eq!(most, all / 4);
        // Of three thirds over four quarters, the middle one needs two, as do the others.
        assert_eq!(four.plan_load(&three), 3 * 2 * 10);
    }
}
