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

use std::path::Path;

use candle_core::Tensor;

use super::generation::Generation;
use super::place::Place;
use super::rank_file;
use crate::dist::mesh::Deal;
use crate::dist::ranks::Ranks;
use crate::dist::shard::Global;
use crate::error::{Error, Result};
use crate::format::directory::{DirectoryManifest, SplitRecord};
use crate::save::contents::Part;
use crate::save::heading::Heading;
use crate::save::image::{Contents, Piece};
use crate::save::plan::PlannedTensor;
use crate::save::{Agreed, Decided, Prepared, SaveReport};
use crate::storage::Storage;

/// The boxes that this rank was dealt.
pub(crate) fn own(ranks: &Ranks, prepared: &Prepared, agreed: &Agreed, tensors: &[Tensor]) -> (Vec<Piece>, Vec<Part>) {
    let stored = agreed.globals.iter().enumerate();
    let deal = Deal::new(
        ranks.mesh.clone(),
        stored.map(|(at, global)| (global.info.clone(), agreed.stored(at, global).clone())),
    );
    let (mut pieces, mut parts) = (Vec::new(), Vec::new());
    for (at, (planned, global)) in prepared.plan.tensors.iter().zip(&agreed.globals).enumerate() {
        let Some(region) = deal.own(at, ranks.rank()) else {
            continue;
        };
        let held = global.split.region(&ranks.mesh, global.info.shape(), ranks.rank());
        parts.push(Part {
            name: planned.name.clone(),
            tensor: tensors[at].clone(),
            region: (region != held).then(|| region.within(&held)),
        });
        pieces.push(Piece {
            name: planned.name.clone(),
            whole: global.info.clone(),
            region: Some(region),
        });
    }
    (pieces, parts)
}

/// Writes this rank's file, and on rank 0 the manifest.
pub(crate) fn save(
    ranks: &Ranks,
    storage: &dyn Storage,
    path: &Path,
    decided: Decided,
    contents: &dyn Contents,
) -> Result<SaveReport> {
    let Decided {
        prepared,
        mut agreed,
        pieces,
        phases,
        ..
    } = decided;
    let differing = std::mem::take(&mut agreed.differing);
    let mut generation = None;
    let message = ranks.first("save: begin", || {
        Ok(generation.insert(Generation::begin(storage, path)?).message())
    })?;
    let write = || {
        let place = match &generation {
            Some(generation) => generation.place().clone(),
            None => Place::of_message(storage, path, &message)?,
        };
        let len = rank_file::write(
            storage,
            &place,
            ranks.rank(),
            pieces,
            contents,
            prepared.durability,
            &phases,
        )?;
        Ok(((), len.to_le_bytes().to_vec()))
    };
    let ((), lens) = ranks.step("save: write", write)?;
    let lens = lens.iter().filter_map(|len| len.first_chunk());
    let bytes: u64 = lens.map(|len| u64::from_le_bytes(*len)).sum();
    let commit = || {
        let Some(generation) = generation.take() else {
            return Ok(Vec::new());
        };
        let manifest = manifest(ranks, &prepared, agreed, generation.place().generation());
        let manifest = manifest.encode().map_err(|error| Error::Internal(error.to_string()))?;
        generation.commit(&manifest, prepared.durability, &phases)?;
        Ok((manifest.len() as u64).to_le_bytes().to_vec())
    };
    let manifest = ranks.first("save: commit", commit)?;
    let manifest = manifest.first_chunk().map_or(0, |len| u64::from_le_bytes(*len));
    Ok(prepared.report(bytes + manifest, differing))
}

fn manifest(ranks: &Ranks, prepared: &Prepared, agreed: Agreed, generation: &str) -> DirectoryManifest {
    let tensors = prepared.plan.tensors.iter().zip(&agreed.globals).enumerate();
    let split = |(at, (planned, global)): (usize, (&PlannedTensor, &Global))| {
        SplitRecord::new(planned.name.to_string(), &global.info, agreed.stored(at, global))
    };
    let tensors = tensors.map(split).collect();
    Heading::of(ranks, prepared, agreed.per_rank).of_directory(generation, tensors)
}
