//! The manifest of a directory in the words of a mesh: what it says of cuts, and of values of ranks.
//!
//! It lists no file and no box: both follow from the mesh and the cuts, so it is as long for ten thousand ranks as for
//! ten. Places and checksums are in the files themselves.

use super::mesh::{Cells, Cut, Mesh, Split};
use crate::entry::{Dims, TensorInfo};
use crate::format::ManifestError;
use crate::format::manifest::{CellsRecord, Coordinate, CutRecord, Head, Manifest, TensorRecord};

/// The mesh of the ranks that saved.
pub(crate) fn mesh_of(head: &Head) -> Mesh {
    let size = |size: &u64| usize::try_from(*size).unwrap_or(usize::MAX);
    Mesh::new(head.mesh.iter().map(|(name, len)| (name.clone(), size(len))).collect())
}

/// A tensor of a directory.
pub(crate) fn record(name: &str, info: &TensorInfo, split: &Split) -> TensorRecord {
    TensorRecord {
        name: name.to_owned(),
        dtype: info.dtype(),
        shape: Dims::from_slice(info.shape()),
        cuts: split.cuts.iter().map(cut_record).collect(),
        part: None,
        digest: Vec::new(),
    }
}

fn cut_record(cut: &Cut) -> CutRecord {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    CutRecord {
        dim: number(cut.dim),
        axes: cut.axes.iter().copied().map(number).collect(),
        cells: match &cut.cells {
            Cells::Balanced => CellsRecord::Balanced,
            Cells::Chunked(len) => CellsRecord::Chunked(*len as u64),
            Cells::Listed(lengths) => CellsRecord::Listed(lengths.iter().map(|len| len as u64).collect()),
        },
    }
}

/// How a tensor is cut. Numbers that do not fit this machine become ones that the check of splits refuses.
pub(crate) fn split_of(record: &TensorRecord) -> Split {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let cut = |cut: &CutRecord| Cut {
        dim: cut.dim as usize,
        axes: cut.axes.iter().map(|axis| *axis as usize).collect(),
        cells: match &cut.cells {
            CellsRecord::Balanced => Cells::Balanced,
            CellsRecord::Chunked(len) => Cells::Chunked(number(*len)),
            CellsRecord::Listed(lengths) => {
                let lengths: Vec<usize> = lengths.iter().copied().map(number).collect();
                Cells::Listed(lengths.into())
            }
        },
    };
    Split {
        cuts: record.cuts.iter().map(cut).collect(),
    }
}

/// Where a rank stands: an index along every axis of the mesh.
pub(crate) fn coordinate(mesh: &Mesh, rank: usize) -> Coordinate {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let axes = 0..mesh.axes().len();
    axes.map(|axis| (number(axis), number(mesh.coordinate(rank, axis))))
        .collect()
}

/// Checks the cuts of a directory. That the boxes of a tensor cover it needs no proof beyond that of its cuts: they fill their
/// dimensions, and a grid of them fills the shape.
///
/// # Errors
/// The first cut that contradicts the mesh or the shape.
pub(crate) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    let mesh = mesh_of(&manifest.head);
    manifest.body.tensors.iter().try_for_each(|tensor| {
        let checked = split_of(tensor).check(&mesh, &tensor.shape);
        checked.map_err(|what| ManifestError::Invalid(format!("entry `{}`: {what}", tensor.name)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::DType;
    use crate::format::manifest::{Body, Kind};

    fn sample() -> Manifest {
        let split = Split {
            cuts: vec![Cut {
                dim: 0,
                axes: vec![1],
                cells: Cells::Listed(vec![3, 1].into()),
            }],
        };
        let info = TensorInfo::new(DType::F32, vec![4, 2]);
        Manifest {
            head: Head {
                kind: Kind::Directory,
                mesh: vec![("dp".into(), 2), ("tp".into(), 2)],
                generation: "g-1".into(),
                ..Head::default()
            },
            body: Body {
                tensors: vec![record("w", &info, &split)],
                ..Body::default()
            },
        }
    }

    #[test]
    fn a_split_is_read_as_it_was_written() {
        let manifest = sample();
        assert_eq!(check(&manifest), Ok(()));
        let record = &manifest.body.tensors[0];
        assert_eq!(super::record("w", &record.info(), &split_of(record)), *record);
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
