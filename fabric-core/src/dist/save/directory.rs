//! A checkpoint in a directory: every rank writes its file into a fresh folder, then rank 0 commits them all at once.
//!
//! | step | rank | the path names, if everything stops here |
//! |---|---|---|
//! | begin: a lock, a new folder | rank 0 | the old checkpoint |
//! | write: a file, synced | every rank | the old checkpoint |
//! | commit: sync the folder; write the manifest beside the old one, sync it | rank 0 | the old checkpoint |
//! | rename the manifest over the old one, sync the directory | rank 0 | the old one or the new one |
//! | remove the old folder and the lock | rank 0 | the new checkpoint |
//!
//! If the path names a file, or nothing yet, the directory is made under a hidden name, and replaces the path as a
//! whole.

use std::sync::Arc;

use super::super::mesh::WriterAssignment;
use super::super::ranks::Ranks;
use super::generation::Generation;
use super::shard_dir::ShardDir;
use super::{Agreed, AgreedTensor, rank_file};
use crate::dist::manifest::record;
use crate::entry::Row;
use crate::error::Result;
use crate::format::manifest::Manifest;
use crate::options::Durability;
use crate::save::contents::LiveTensor;
use crate::save::file::Contents;
use crate::save::{Commit, CommitTarget, Decided, SaveReport};

/// Assigns to each rank the boxes that it writes.
pub(super) fn decide(ranks: &Ranks, writing: Arc<Ranks>, agreed: Agreed) -> Decided {
    let Agreed {
        plan,
        tensors,
        per_rank,
        report,
        durability,
    } = agreed;
    let mut manifest = plan.into_manifest(ranks.strategy.origin(), per_rank);
    let records = tensors.iter();
    let records = records.map(|tensor| record(&tensor.row.name, &tensor.global.info, tensor.stored()));
    manifest.body.tensors = records.collect();
    let rows = rows(ranks, tensors);
    let files = RankFiles {
        ranks: writing,
        heads: rows.iter().map(Row::head).collect(),
        durability,
    };
    let commit: Commit = Box::new(move |target, contents| files.write(target, contents, manifest, report));
    Decided {
        rows,
        progress: None,
        commit,
    }
}

/// The rows that this rank writes, each with the box of it that is assigned to this rank.
fn rows(ranks: &Ranks, tensors: Vec<AgreedTensor>) -> Vec<Row<LiveTensor>> {
    let stored = tensors.iter();
    let stored = stored.map(|tensor| (tensor.global.info.clone(), tensor.stored().clone()));
    let assignment = WriterAssignment::new(ranks.mesh.clone(), stored);
    let written = |(at, tensor): (usize, AgreedTensor)| {
        let AgreedTensor { mut row, global, .. } = tensor;
        let region = assignment.region_written_by(at, ranks.rank())?;
        let held = global.sharding.region(&ranks.mesh, global.info.shape(), ranks.rank());
        row.bytes.within = (region != held).then(|| region.within(&held));
        row.whole = global.info;
        row.region = Some(region);
        Some(row)
    };
    tensors.into_iter().enumerate().filter_map(written).collect()
}

/// The files that the ranks write.
struct RankFiles {
    ranks: Arc<Ranks>,
    heads: Vec<Row<()>>,
    durability: Durability,
}

impl RankFiles {
    /// Writes the file of this rank, and on rank 0 the manifest.
    fn write(
        self,
        target: &CommitTarget<'_>,
        contents: &dyn Contents,
        manifest: Manifest,
        mut report: SaveReport,
    ) -> Result<SaveReport> {
        let CommitTarget { storage, path, phases } = *target;
        let (ranks, durability) = (&*self.ranks, self.durability);
        let mut generation = None;
        let message = ranks.on_rank_zero("save: begin", || {
            Ok(generation.insert(Generation::create(storage, path)?).message())
        })?;
        let write = || {
            let shard_dir = match &generation {
                Some(generation) => generation.shard_dir().clone(),
                None => ShardDir::of_message(storage, path, &message)?,
            };
            let len = rank_file::write(
                storage,
                &shard_dir,
                ranks.rank(),
                &self.heads,
                contents,
                durability,
                phases,
            )?;
            Ok(((), len.to_le_bytes().to_vec()))
        };
        let ((), lens) = ranks.step("save: write", write)?;
        let lens = lens.iter().filter_map(|len| len.first_chunk());
        report.bytes = lens.map(|len| u64::from_le_bytes(*len)).sum();
        let commit = || {
            let Some(generation) = generation.take() else {
                return Ok(Vec::new());
            };
            let len = generation.commit(manifest, durability, phases)?;
            Ok(len.to_le_bytes().to_vec())
        };
        let manifest = ranks.on_rank_zero("save: commit", commit)?;
        report.bytes += manifest.first_chunk().map_or(0, |len| u64::from_le_bytes(*len));
        Ok(report)
    }
}
