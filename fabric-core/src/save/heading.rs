//! The part of a manifest beside its tensors: of one file, and of a directory.

use super::WRITER;
use super::plan::SavePlan;
use crate::format::directory::{DirectoryManifest, SplitRecord};
use crate::format::manifest::{CBOR, Manifest, TieRecord, ValueRecord};

/// The strategy that a checkpoint was saved under, as its manifest says it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) strategy: String,
    /// The axes of the mesh, with their sizes.
    pub(crate) mesh: Vec<(String, u64)>,
}

/// All of a manifest but its tensors and their places.
pub(crate) struct Heading {
    pub(crate) origin: Origin,
    pub(crate) state_version: u32,
    pub(crate) ties: Vec<TieRecord>,
    pub(crate) values: Vec<ValueRecord>,
    pub(crate) filtered: Vec<String>,
}

impl Heading {
    /// Of a plan. `per_rank` are values of ranks: name, rank, CBOR bytes.
    pub(crate) fn of(
        plan: &SavePlan,
        origin: Origin,
        state_version: u32,
        per_rank: Vec<(String, u32, Vec<u8>)>,
    ) -> Self {
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
        let ties = plan.ties.iter().map(|tie| TieRecord {
            name: tie.name.clone(),
            target: u32::try_from(tie.target).unwrap_or(u32::MAX),
        });
        Self {
            origin,
            state_version,
            ties: ties.collect(),
            values: shared.chain(own).collect(),
            filtered: plan.filtered.clone(),
        }
    }

    /// The manifest of one file, whose tensors are still to come.
    pub(crate) fn of_file(self) -> Manifest {
        Manifest {
            writer: WRITER.to_owned(),
            strategy: self.origin.strategy,
            mesh: self.origin.mesh,
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
            strategy: self.origin.strategy,
            mesh: self.origin.mesh,
            state_version: self.state_version,
            generation: generation.to_owned(),
            tensors,
            ties: self.ties,
            values: self.values,
            filtered: self.filtered,
        }
    }
}
