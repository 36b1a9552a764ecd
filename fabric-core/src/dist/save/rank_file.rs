//! The file of one rank in a checkpoint's directory.

use super::place::Place;
use crate::error::Result;
use crate::format::directory;
use crate::format::manifest::ShardManifest;
use crate::options::Durability;
use crate::phases::Phases;
use crate::save::image::{Closing, Contents, Image, Piece};
use crate::save::publish::{create, fill};
use crate::storage::Storage;

/// Writes the pieces that a rank was dealt, and gives the length of the file; no file if there are none.
pub(crate) fn write(
    storage: &dyn Storage,
    place: &Place,
    rank: usize,
    pieces: Vec<Piece>,
    contents: &dyn Contents,
    durability: Durability,
    phases: &Phases,
) -> Result<u64> {
    if pieces.is_empty() {
        return Ok(0);
    }
    let path = place.folder().join(directory::rank_file(rank));
    let closing = ShardManifest {
        generation: place.generation().to_owned(),
        rank: u32::try_from(rank).unwrap_or(u32::MAX),
        ..ShardManifest::default()
    };
    let mut image = Image::new(pieces, Closing::Shard(closing), &path)?;
    let replaced = place.replaced_file(storage, rank)?;
    let mut file = create(storage, &path, replaced.as_deref())?;
    fill(&mut *file, &path, durability, image.len(), phases, |file, path| {
        image.write(contents, file, path)
    })?;
    Ok(image.len())
}
