//! A checkpoint in one file, which rank 0 writes.

use std::path::Path;

use candle_core::Tensor;

use super::contents::Part;
use super::heading::Heading;
use super::image::{Closing, Contents, Image, Piece};
use super::publish::publish;
use super::{Decided, Prepared, SaveReport};
use crate::dist::ranks::Ranks;
use crate::error::Result;
use crate::storage::Storage;

/// All of the state, on rank 0.
pub(crate) fn own(ranks: &Ranks, prepared: &Prepared, tensors: &[Tensor]) -> (Vec<Piece>, Vec<Part>) {
    if ranks.rank() != 0 {
        return (Vec::new(), Vec::new());
    }
    let planned = prepared.plan.tensors.iter();
    planned
        .zip(tensors)
        .map(|(planned, tensor)| {
            let piece = Piece {
                name: planned.name.clone(),
                whole: planned.info.clone(),
                region: None,
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
pub(crate) fn save(
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
    let (heading, differing) = (Heading::of(ranks, &prepared, agreed.per_rank), agreed.differing);
    let write = || {
        let mut image = Image::new(pieces, Closing::Whole(heading.of_file()), path)?;
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
    Ok(prepared.report(bytes, differing))
}
