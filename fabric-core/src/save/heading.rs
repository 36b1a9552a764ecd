//! What a manifest says beside its tensors, the same for one file and for a directory.

use super::{Prepared, WRITER};
use crate::dist::mesh::Mesh;
use crate::dist::ranks::Ranks;
use crate::dist::strategy::Strategy;
use crate::format::directory::{DirectoryManifest, SplitRecord};
use crate::format::manifest::{CBOR, Manifest, TieRecord, ValueRecord};

/// All of a manifest but its tensors and their places.
pub(crate) struct Heading {
    pub(crate) strategy: String,
    pub(crate) mesh: Vec<(String, u64)>,
    pub(crate) state_version: u32,
    pub(crate) ties: Vec<TieRecord>,
    pub(crate) values: Vec<ValueRecord>,
    pub(crate) filtered: Vec<String>,
}

impl Heading {
    /// Of a checkpoint that holds nothing yet.
    pub(crate) fn new(strategy: &Strategy, mesh: &Mesh) -> Self {
        Self {
            strategy: strategy.name().to_owned(),
            mesh: mesh.records(),
            state_version: 0,
            ties: Vec::new(),
            values: Vec::new(),
            filtered: Vec::new(),
        }
    }

    /// Of a state; values of ranks are name, rank, CBOR bytes.
    pub(crate) fn of(ranks: &Ranks, prepared: &Prepared, per_rank: Vec<(String, u32, Vec<u8>)>) -> Self {
        let plan = &prepared.plan;
        let tie = |(name, target): &(String, usize)| TieRecord {
            name: name.clone(),
            target: u32::try_from(*target).unwrap_or(u32::MAX),
        };
        let value = |name: String, rank, bytes| ValueRecord {
            name,
            rank,
            form: CBOR,
            bytes,
        };
        let shared = plan
            .values
            .iter()
            .map(|(name, bytes)| value(name.clone(), None, bytes.clone()));
        let own = per_rank
            .into_iter()
            .map(|(name, rank, bytes)| value(name, Some(rank), bytes));
        Self {
            state_version: prepared.version,
            ties: plan.ties.iter().map(tie).collect(),
            values: shared.chain(own).collect(),
            filtered: plan.filtered.clone(),
            ..Self::new(&ranks.strategy, &ranks.mesh)
        }
    }

    /// The manifest of one file, whose tensors are still to come.
    pub(crate) fn of_file(self) -> Manifest {
        Manifest {
            writer: WRITER.to_owned(),
            strategy: self.strategy,
            mesh: self.mesh,
            state_version: self.state_version,
            ties: self.ties,
            values: self.values,
            filtered: self.filtered,
            ..Manifest::default()
        }
    }

    /// The manifest of a directory.
    pub(crate) fn of_directory(self, generation: &str, tensors: Vec<SplitRecord>) -> DirectoryManifest {
        DirectoryManifest {
            writer: WRITER.to_owned(),
            strategy: self.strategy,
            mesh: self.mesh,
            state_version: self.state_version,
            generation: generation.to_owned(),
            tensors,
            ties: self.ties,
            values: self.values,
            filtered: self.filtered,
        }
    }
}
