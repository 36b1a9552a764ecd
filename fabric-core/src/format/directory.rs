//! The manifest of a directory: what the checkpoint holds and how each tensor is cut, in the words of a mesh.
//!
//! It lists no file and no box: both follow from the mesh and the cuts, so it is as long for ten thousand ranks as for
//! ten. Places and checksums are in the files themselves.

use serde::{Deserialize, Serialize};

use super::manifest::{ManifestError, TieRecord, ValueRecord, check};
use super::{envelope, wire};
use crate::dist::mesh::{Cells, Cut, Mesh, Split};
use crate::entry::{DType, TensorInfo};

/// The name of the manifest in its directory.
pub(crate) const FILE_NAME: &str = "manifest.fabric";

/// Its first bytes.
pub(crate) const MAGIC: [u8; 8] = *b"\x89FABDIR\n";

/// The version that this library writes, and the newest that it reads in full.
const VERSION: (u16, u16) = (1, 0);

/// Meshes of more ranks are refused.
const MAX_RANKS: u64 = 1 << 20;

/// Checkpoints of more bytes are refused.
const MAX_BYTES: u64 = 1 << 62;

/// What a directory holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DirectoryManifest {
    /// Who wrote it: the library's name and version. For people; nothing depends on it.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) writer: String,
    /// The name of the strategy that the checkpoint was saved under.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) strategy: String,
    /// The axes of the strategy's mesh and their sizes.
    #[serde(deserialize_with = "wire::axes")]
    pub(crate) mesh: Vec<(String, u64)>,
    /// The version of the state's schema, as its author counts.
    pub(crate) state_version: u32,
    /// The folder that the files are in, and the mark that each of them bears.
    #[serde(deserialize_with = "wire::text")]
    pub(crate) generation: String,
    /// In the order in which they are dealt out to ranks.
    pub(crate) tensors: Vec<SplitRecord>,
    pub(crate) ties: Vec<TieRecord>,
    pub(crate) values: Vec<ValueRecord>,
    /// Entries that a filter kept out of this checkpoint.
    #[serde(deserialize_with = "wire::texts")]
    pub(crate) filtered: Vec<String>,
}

/// A tensor, and how it is cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SplitRecord {
    #[serde(deserialize_with = "wire::text")]
    pub(crate) name: String,
    #[serde(with = "wire::dtype")]
    pub(crate) dtype: DType,
    /// The shape of the whole tensor.
    pub(crate) shape: Vec<usize>,
    pub(crate) cuts: Vec<CutRecord>,
}

/// A dimension that is cut over axes of the mesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CutRecord {
    dim: u32,
    /// Axes of the mesh, counted from 0, the outermost first.
    axes: Vec<u32>,
    cells: CellsRecord,
}

/// How long the pieces are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum CellsRecord {
    /// As equal as can be, longer ones first.
    Balanced,
    /// All of this length but for those at the end.
    Chunked(u64),
    /// One by one.
    Listed(Vec<u64>),
}

impl SplitRecord {
    pub(crate) fn new(name: String, info: &TensorInfo, split: &Split) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let cut = |cut: &Cut| CutRecord {
            dim: number(cut.dim),
            axes: cut.axes.iter().copied().map(number).collect(),
            cells: match &cut.cells {
                Cells::Balanced => CellsRecord::Balanced,
                Cells::Chunked(len) => CellsRecord::Chunked(*len as u64),
                Cells::Listed(lengths) => CellsRecord::Listed(lengths.iter().map(|len| len as u64).collect()),
            },
        };
        Self {
            name,
            dtype: info.dtype(),
            shape: info.shape().to_vec(),
            cuts: split.cuts.iter().map(cut).collect(),
        }
    }

    /// The element type and the shape of the whole tensor.
    pub(crate) fn info(&self) -> TensorInfo {
        TensorInfo::new(self.dtype, self.shape.clone())
    }

    /// How it is cut. Numbers that do not fit this machine become ones that the check of splits refuses.
    pub(crate) fn split(&self) -> Split {
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
            cuts: self.cuts.iter().map(cut).collect(),
        }
    }
}

/// The file of a rank, in the folder of its generation.
pub(crate) fn rank_file(rank: usize) -> String {
    format!("rank-{rank:05}.safetensors")
}

/// Whether a name is that of a rank's file.
pub(crate) fn is_rank_file(name: &str) -> bool {
    let digits = name
        .strip_prefix("rank-")
        .and_then(|name| name.strip_suffix(".safetensors"));
    let rank = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    rank.and_then(|rank| rank.parse().ok())
        .is_some_and(|rank| rank_file(rank) == name)
}

impl DirectoryManifest {
    /// The mesh of ranks that wrote it.
    pub(crate) fn mesh(&self) -> Mesh {
        let axes = self.mesh.iter();
        Mesh::new(
            axes.map(|(name, size)| (name.clone(), usize::try_from(*size).unwrap_or(usize::MAX)))
                .collect(),
        )
    }

    /// The manifest as bytes; one that [`decode`](Self::decode) would refuse is refused here.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        self.check().map_err(ManifestError::Invalid)?;
        envelope::encode(MAGIC, VERSION, self)
    }

    /// Reads a manifest, and believes nothing: what this returns has been checked in itself.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let opened = envelope::open(MAGIC, VERSION.0, bytes)?;
        let manifest: Self = envelope::decode_all(&opened, VERSION.1)?;
        manifest.check().map_err(ManifestError::Invalid)?;
        Ok(manifest)
    }

    /// Says what is wrong with it, if anything is. That the boxes of a tensor cover it needs no proof beyond that of its
    /// cuts: they fill their dimensions, and a grid of them fills the shape.
    fn check(&self) -> Result<(), String> {
        check::mesh(&self.mesh)?;
        let ranks: u64 = self.mesh.iter().map(|(_, size)| size).product();
        if ranks > MAX_RANKS {
            return Err(format!(
                "its mesh has {ranks} ranks, and more than {MAX_RANKS} are refused"
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.generation.is_empty() || self.generation.len() > 64 || !self.generation.chars().all(plain) {
            return Err(format!("the generation `{}` is no name of a folder", self.generation));
        }
        let names = self.tensors.iter().map(|tensor| &tensor.name);
        check::names(names, &self.ties, &self.values, &self.filtered)?;
        let mesh = self.mesh();
        let mut total = 0u64;
        for tensor in &self.tensors {
            let info = tensor.info();
            let Some(bytes) = info.byte_len() else {
                return Err(format!("entry `{}`: {info} has no size in bytes", tensor.name));
            };
            // Who writes what is counted in bytes of all tensors together.
            total = total.saturating_add(bytes as u64);
            if total > MAX_BYTES {
                return Err(format!(
                    "its tensors have more than {MAX_BYTES} bytes, which are refused"
                ));
            }
            let whole_bytes = tensor.dtype.bits() >= 8 || tensor.cuts.is_empty();
            if !whole_bytes {
                return Err(format!("entry `{}`: elements smaller than a byte are cut", tensor.name));
            }
            let split = tensor.split();
            split
                .check(&mesh, &tensor.shape)
                .map_err(|what| format!("entry `{}`: {what}", tensor.name))?;
        }
        if let Some(tie) = self.ties.iter().find(|tie| tie.target as usize >= self.tensors.len()) {
            let (count, target) = (self.tensors.len(), tie.target);
            return Err(format!(
                "entry `{}` is tied to tensor {target}, and there are {count}",
                tie.name
            ));
        }
        let stranger = |value: &&ValueRecord| value.rank.is_some_and(|rank| u64::from(rank) >= ranks);
        if let Some(value) = self.values.iter().find(stranger) {
            return Err(format!(
                "the value `{}` is of a rank that the mesh does not have",
                value.name
            ));
        }
        check::forms(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> DirectoryManifest {
        let split = Split {
            cuts: vec![Cut {
                dim: 0,
                axes: vec![1],
                cells: Cells::Listed(vec![3, 1].into()),
            }],
        };
        let info = TensorInfo::new(DType::F32, vec![4, 2]);
        DirectoryManifest {
            writer: "a test".into(),
            strategy: "mesh".into(),
            mesh: vec![("dp".into(), 2), ("tp".into(), 2)],
            state_version: 1,
            generation: "g-1".into(),
            tensors: vec![SplitRecord::new("w".into(), &info, &split)],
            ties: vec![TieRecord {
                name: "tied".into(),
                target: 0,
            }],
            values: (0..4)
                .map(|rank| ValueRecord {
                    name: "position".into(),
                    rank: Some(rank),
                    form: 0,
                    bytes: vec![7],
                })
                .collect(),
            filtered: vec!["left".into()],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = sample().encode().unwrap();
        assert_eq!(DirectoryManifest::decode(&bytes).unwrap(), sample());
    }

    #[test]
    fn every_flipped_bit_and_every_missing_end_is_noticed() {
        let bytes = sample().encode().unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(DirectoryManifest::decode(&damaged).is_err(), "bit {bit} of byte {at}");
            }
            assert!(DirectoryManifest::decode(&bytes[..at]).is_err(), "{at} bytes");
        }
    }

    fn huge() -> TensorInfo {
        TensorInfo::new(DType::U8, vec![1 << 60])
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused() {
        type Change = fn(&mut DirectoryManifest);
        let changes: [(Change, &str); 11] = [
            (|m| m.mesh[0].1 = 0, "size 0"),
            (|m| m.mesh[0].1 = 1 << 40, "refused"),
            (|m| m.generation = "../x".into(), "folder"),
            (|m| m.tensors[0].cuts[0].dim = 2, "dimension 2"),
            (|m| m.tensors[0].cuts[0].axes = vec![2], "axis 2"),
            (
                |m| m.tensors[0].cuts[0].cells = CellsRecord::Listed(vec![3, 2]),
                "length, 4",
            ),
            (|m| m.tensors[0].cuts[0].cells = CellsRecord::Chunked(1), "length, 4"),
            (|m| m.tensors.push(m.tensors[0].clone()), "twice"),
            (
                |m| {
                    let huge = |n: u8| SplitRecord::new(format!("x{n}"), &huge(), &Split::default());
                    m.tensors = (0..5).map(huge).collect();
                },
                "more than",
            ),
            (|m| m.ties[0].target = 1, "tied to tensor 1"),
            (|m| m.values[0].rank = Some(4), "rank"),
        ];
        for (change, says) in changes {
            let mut manifest = sample();
            change(&mut manifest);
            let error = manifest.encode().unwrap_err().to_string();
            assert!(error.contains(says), "{says:?} is not in {error:?}");
        }
    }
}
