//! A checkpoint in a directory: every rank writes its file into a fresh folder, then rank 0 commits them all at once.
//!
//! | step | who | what is at the path if everything stops here |
//! |---|---|---|
//! | begin: a lock, a new folder | rank 0 | the old checkpoint |
//! | write: a file, synced | every rank | the old checkpoint |
//! | commit: sync the folder; write the manifest beside the old one, sync it | rank 0 | the old checkpoint |
//! | rename the manifest over the old one, sync the directory | rank 0 | the old one or the new one |
//! | remove the old folder and the lock | rank 0 | the new checkpoint |
//!
//! Where there is a file at the path, or nothing yet, the directory is made under a hidden name and takes the place whole.

use std::sync::Arc;

use super::super::mesh::Deal;
use super::super::ranks::Ranks;
use super::super::shard::Global;
use super::generation::Generation;
use super::place::Place;
use super::{Agreed, Prepared, origin, rank_file};
use crate::dist::manifest::record;
use crate::entry::Row;
use crate::error::Result;
use crate::format::manifest::{Manifest, TensorRecord};
use crate::options::Durability;
use crate::save::contents::Live;
use crate::save::file::Contents;
use crate::save::heading::heading;
use crate::save::plan::SavePlan;
use crate::save::{Commit, Decided, Destination, SaveReport};

/// Gives each rank the boxes that it writes.
pub(super) fn decide(ranks: &Ranks, writing: Arc<Ranks>, prepared: Prepared, mut agreed: Agreed) -> Result<Decided> {
    let Prepared {
        mut plan,
        state,
        durability,
        ..
    } = prepared;
    let report = plan.report(0, std::mem::take(&mut agreed.differing));
    let origin = origin(&ranks.strategy, &ranks.mesh);
    let mut manifest = heading(&plan, origin, state, std::mem::take(&mut agreed.per_rank))?;
    manifest.body.tensors = records(&plan, &agreed);
    plan.tensors = rows(ranks, plan.tensors, &agreed);
    let heads: Vec<_> = plan.tensors.iter().map(Row::head).collect();
    let files = RankFiles {
        ranks: writing,
        heads,
        durability,
    };
    let commit: Commit = Box::new(move |destination, contents| files.write(destination, contents, manifest, report));
    Ok(Decided {
        rows: plan.tensors,
        progress: None,
        commit,
    })
}

/// The rows that this rank writes, each with the box of it that it was dealt.
fn rows(ranks: &Ranks, tensors: Vec<Row<Live>>, agreed: &Agreed) -> Vec<Row<Live>> {
    let stored = agreed.globals.iter().enumerate();
    let deal = Deal::new(
        ranks.mesh.clone(),
        stored.map(|(at, global)| (global.info.clone(), agreed.stored(at, global).clone())),
    );
    let dealt = |(at, (mut row, global)): (usize, (Row<Live>, &Global))| {
        let region = deal.own(at, ranks.rank())?;
        let held = global.split.region(&ranks.mesh, global.info.shape(), ranks.rank());
        row.bytes.within = (region != held).then(|| region.within(&held));
        row.whole = global.info.clone();
        row.region = Some(region);
        Some(row)
    };
    tensors
        .into_iter()
        .zip(&agreed.globals)
        .enumerate()
        .filter_map(dealt)
        .collect()
}

/// How the manifest says that the tensors are cut.
fn records(plan: &SavePlan, agreed: &Agreed) -> Vec<TensorRecord> {
    let tensors = plan.tensors.iter().zip(&agreed.globals).enumerate();
    let record_of = |(at, (row, global)): (usize, (&Row<Live>, &Global))| {
        record(&row.name, &global.info, agreed.stored(at, global))
    };
    tensors.map(record_of).collect()
}

/// The files that the ranks write.
struct RankFiles {
    ranks: Arc<Ranks>,
    heads: Vec<Row<()>>,
    durability: Durability,
}

impl RankFiles {
    /// Writes this rank's file, and on rank 0 the manifest.
    fn write(
        self,
        destination: &Destination<'_>,
        contents: &dyn Contents,
        manifest: Manifest,
        mut report: SaveReport,
    ) -> Result<SaveReport> {
        let Destination { storage, path, phases } = *destination;
        let (ranks, durability) = (&*self.ranks, self.durability);
        let mut generation = None;
        let message = ranks.first("save: begin", || {
            Ok(generation.insert(Generation::begin(storage, path)?).message())
        })?;
        let write = || {
            let place = match &generation {
                Some(generation) => generation.place().clone(),
                None => Place::of_message(storage, path, &message)?,
            };
            let len = rank_file::write(storage, &place, ranks.rank(), &self.heads, contents, durability, phases)?;
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
        let manifest = ranks.first("save: commit", commit)?;
        report.bytes += manifest.first_chunk().map_or(0, |len| u64::from_le_bytes(*len));
        Ok(report)
    }
}
