//! A checkpoint in one file, which rank 0 writes.

use std::path::Path;

use super::contents::Live;
use super::image::{Closing, Image, Piece};
use super::publish::publish;
use super::{Agreed, Prepared, SaveReport};
use crate::entry::Region;
use crate::error::Result;
use crate::format::manifest::{CBOR, Manifest, TieRecord, ValueRecord};
use crate::ranks::Ranks;
use crate::storage::Storage;

/// Writes the file, or waits for rank 0 to do it.
pub(super) fn save(
    ranks: &Ranks,
    storage: &dyn Storage,
    path: &Path,
    prepared: &Prepared,
    agreed: Agreed,
) -> Result<SaveReport> {
    let write = || {
        let (pieces, closing) = whole(ranks, prepared, agreed);
        let mut image = Image::new(pieces, closing, path)?;
        let live = Live {
            prepared,
            pieces: (0..prepared.plan.tensors.len()).map(|tensor| (tensor, None)).collect(),
        };
        publish(storage, path, prepared.durability, image.len(), |file, path| {
            image.write(&live, file, path)
        })?;
        Ok(image.len().to_le_bytes().to_vec())
    };
    let bytes = ranks.first("save: write", write)?;
    let bytes = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Ok(prepared.report(bytes))
}

/// Everything as one file has it.
fn whole(ranks: &Ranks, prepared: &Prepared, agreed: Agreed) -> (Vec<Piece>, Closing) {
    let plan = &prepared.plan;
    let pieces = plan.tensors.iter().map(|tensor| Piece {
        name: tensor.name.clone(),
        region: Region::whole(tensor.info.shape()),
        whole: tensor.info.clone(),
    });
    let manifest = Manifest {
        writer: super::WRITER.to_owned(),
        strategy: ranks.strategy.name().to_owned(),
        mesh: ranks.mesh.records(),
        state_version: prepared.version,
        ties: ties(prepared),
        values: values(prepared, agreed.per_rank),
        filtered: plan.filtered.clone(),
        ..Manifest::default()
    };
    (pieces.collect(), Closing::Whole(manifest))
}

/// Further names of tensors.
pub(super) fn ties(prepared: &Prepared) -> Vec<TieRecord> {
    let ties = prepared.plan.ties.iter();
    ties.map(|(name, at)| TieRecord {
        name: name.clone(),
        target: u32::try_from(*at).unwrap_or(u32::MAX),
    })
    .collect()
}

/// The values that all ranks share, and those of each.
pub(super) fn values(prepared: &Prepared, per_rank: Vec<(String, u32, Vec<u8>)>) -> Vec<ValueRecord> {
    let value = |name: String, rank, bytes| ValueRecord {
        name,
        rank,
        form: CBOR,
        bytes,
    };
    let shared = prepared.plan.values.iter();
    let shared = shared.map(|(name, bytes)| value(name.clone(), None, bytes.clone()));
    let own = per_rank
        .into_iter()
        .map(|(name, rank, bytes)| value(name, Some(rank), bytes));
    shared.chain(own).collect()
}
