//! A checkpoint in one file, which rank 0 writes.

use std::path::Path;

use candle_core::Tensor;

use super::contents::Part;
use super::image::{Closing, Contents, Image, Piece};
use super::publish::publish;
use super::{Agreed, Decided, Prepared, SaveReport};
use crate::entry::Region;
use crate::error::Result;
use crate::format::manifest::{CBOR, Manifest, TieRecord, ValueRecord};
use crate::ranks::Ranks;
use crate::storage::Storage;

/// All of the state, on rank 0.
pub(super) fn own(ranks: &Ranks, prepared: &Prepared, tensors: &[Tensor]) -> (Vec<Piece>, Vec<Part>) {
    if ranks.rank() != 0 {
        return (Vec::new(), Vec::new());
    }
    let planned = prepared.plan.tensors.iter();
    planned
        .zip(tensors)
        .map(|(planned, tensor)| {
            let piece = Piece {
                name: planned.name.clone(),
                region: Region::whole(planned.info.shape()),
                whole: planned.info.clone(),
            };
            let part = Part {
                name: planned.name.clone(),
                tensor: tensor.clone(),
                region: None,
            };
            (piece, part)
        })
        .unzip()
}

/// Writes the file, or waits for rank 0 to do it.
pub(super) fn save(
    ranks: &Ranks,
    storage: &dyn Storage,
    path: &Path,
    decided: Decided,
    contents: &dyn Contents,
) -> Result<SaveReport> {
    let Decided {
        prepared,
        agreed,
        pieces,
        phases,
        ..
    } = decided;
    let write = || {
        let mut image = Image::new(pieces, closing(ranks, &prepared, agreed), path)?;
        publish(
            storage,
            path,
            prepared.durability,
            image.len(),
            &phases,
            |file, path| image.write(contents, file, path),
        )?;
        Ok(image.len().to_le_bytes().to_vec())
    };
    let bytes = ranks.first("save: write", write)?;
    let bytes = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Ok(prepared.report(bytes))
}

/// What one file says of everything in it.
fn closing(ranks: &Ranks, prepared: &Prepared, agreed: Agreed) -> Closing {
    Closing::Whole(Manifest {
        writer: super::WRITER.to_owned(),
        strategy: ranks.strategy.name().to_owned(),
        mesh: ranks.mesh.records(),
        state_version: prepared.version,
        ties: ties(prepared),
        values: values(prepared, agreed.per_rank),
        filtered: prepared.plan.filtered.clone(),
        ..Manifest::default()
    })
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
