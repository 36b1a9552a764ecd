//! Shardings, meshes and coordinates as the records of a directory's manifest.
//!
//! The manifest lists no files and no boxes: readers compute both from the mesh and the shardings, so its length does
//! not depend on the number of ranks. Places and checksums are in the files of the ranks.

use super::mesh::{ChunkSizes, Mesh, ShardDim, Sharding};
use crate::entry::{Dims, TensorInfo};
use crate::format::ManifestError;
use crate::format::manifest::{CellsRecord, Coordinate, CutRecord, Manifest, ManifestHead, TensorRecord};

/// The mesh of the ranks that saved.
pub(crate) fn mesh_of(head: &ManifestHead) -> Mesh {
    let size = |size: &u64| usize::try_from(*size).unwrap_or(usize::MAX);
    Mesh::new(head.mesh.iter().map(|(name, len)| (name.clone(), size(len))).collect())
}

/// The record of a tensor in a directory's manifest.
pub(crate) fn record(name: &str, info: &TensorInfo, sharding: &Sharding) -> TensorRecord {
    TensorRecord {
        name: name.to_owned(),
        dtype: info.dtype(),
        shape: Dims::from_slice(info.shape()),
        cuts: sharding.dims.iter().map(cut_record).collect(),
        part: None,
        digest: Vec::new(),
    }
}

fn cut_record(cut: &ShardDim) -> CutRecord {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    CutRecord {
        dim: number(cut.dim),
        axes: cut.axes.iter().copied().map(number).collect(),
        cells: match &cut.sizes {
            ChunkSizes::Balanced => CellsRecord::Balanced,
            ChunkSizes::Chunked(len) => CellsRecord::Chunked(*len as u64),
            ChunkSizes::Listed(lengths) => CellsRecord::Listed(lengths.iter().map(|len| len as u64).collect()),
        },
    }
}

/// The sharding of a tensor. A number that does not fit this machine becomes one that the check of shardings refuses.
pub(crate) fn sharding_of(record: &TensorRecord) -> Sharding {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let cut = |cut: &CutRecord| ShardDim {
        dim: cut.dim as usize,
        axes: cut.axes.iter().map(|axis| *axis as usize).collect(),
        sizes: match &cut.cells {
            CellsRecord::Balanced => ChunkSizes::Balanced,
            CellsRecord::Chunked(len) => ChunkSizes::Chunked(number(*len)),
            CellsRecord::Listed(lengths) => {
                let lengths: Vec<usize> = lengths.iter().copied().map(number).collect();
                ChunkSizes::Listed(lengths.into())
            }
        },
    };
    Sharding {
        dims: record.cuts.iter().map(cut).collect(),
    }
}

/// The coordinate of a rank: an index along every axis of the mesh.
pub(crate) fn coordinate(mesh: &Mesh, rank: usize) -> Coordinate {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let axes = 0..mesh.axes().len();
    axes.map(|axis| (number(axis), number(mesh.coordinate(rank, axis))))
        .collect()
}

/// Checks the shardings of a directory. If the chunks of every sharded dimension fill it, the boxes cover the tensor.
///
/// # Errors
/// Names the first entry whose sharding contradicts the mesh or the shape.
pub(crate) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    let mesh = mesh_of(&manifest.head);
    manifest.body.tensors.iter().try_for_each(|tensor| {
        let checked = sharding_of(tensor).check(&mesh, &tensor.shape);
        checked.map_err(|what| ManifestError::Invalid(format!("entry `{}`: {what}", tensor.name)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::DType;
    use crate::format::manifest::{Body, ManifestKind};

    fn sample() -> Manifest {
        let sharding = Sharding {
            dims: vec![ShardDim {
                dim: 0,
                axes: vec![1],
                sizes: ChunkSizes::Listed(vec![3, 1].into()),
            }],
        };
        let info = TensorInfo::new(DType::F32, vec![4, 2]);
        Manifest {
            head: ManifestHead {
                kind: ManifestKind::Directory,
                mesh: vec![("dp".into(), 2), ("tp".into(), 2)],
                generation: "g-1".into(),
                ..ManifestHead::default()
            },
            body: Body {
                tensors: vec![record("w", &info, &sharding)],
                ..Body::default()
            },
        }
    }

    #[test]
    fn a_split_is_read_as_it_was_written() {
        let manifest = sample();
        assert_eq!(check(&manifest), Ok(()));
        let record = &manifest.body.tensors[0];
        assert_eq!(super::record("w", &record.info(), &sharding_of(record)), *record);
        assert_eq!(mesh_of(&manifest.head).world_size(), 4);
        let coordinates = [0, 1, 2, 3].map(|rank| coordinate(&mesh_of(&manifest.head), rank).to_vec());
        assert_eq!(coordinates[2], [(0, 1), (1, 0)]);
    }

    #[test]
    fn cuts_that_contradict_the_mesh_or_the_shape_are_refused() {
        type Change = fn(&mut CutRecord);
        let changes: [(Change, &str); 4] = [
            (|cut| cut.dim = 2, "dimension 2"),
            (|cut| cut.axes = vec![2], "axis 2"),
            (|cut| cut.cells = CellsRecord::Listed(vec![3, 2]), "length, 4"),
            (|cut| cut.cells = CellsRecord::Chunked(1), "length, 4"),
        ];
        for (change, says) in changes {
            let mut manifest = sample();
            change(&mut manifest.body.tensors[0].cuts[0]);
            let error = check(&manifest).unwrap_err().to_string();
            assert!(
                error.contains(says) && error.contains("entry `w`"),
                "{says:?} is not in {error:?}"
            );
        }
    }
}
