//! The file of one rank in a checkpoint's directory.

use super::place::Place;
use crate::entry::Row;
use crate::error::Result;
use crate::format::directory;
use crate::format::manifest::{Body, Head, Kind, Manifest};
use crate::options::Durability;
use crate::phases::Phases;
use crate::save::WRITER;
use crate::save::file::{Contents, FileWriter};
use crate::save::publish::{create, fill};
use crate::storage::Storage;

/// Writes the rows that a rank was dealt, and gives the length of the file; no file if there are none.
pub(crate) fn write<T>(
    storage: &dyn Storage,
    place: &Place,
    rank: usize,
    rows: &[Row<T>],
    contents: &dyn Contents,
    durability: Durability,
    phases: &Phases,
) -> Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let path = place.folder().join(directory::rank_file(rank));
    let manifest = Manifest {
        head: Head {
            kind: Kind::Shard,
            writer: WRITER.to_owned(),
            generation: place.generation().to_owned(),
            rank: u32::try_from(rank).unwrap_or(u32::MAX),
            ..Head::default()
        },
        body: Body::default(),
    };
    let mut writer = FileWriter::new(rows, manifest, &path)?;
    let replaced = place.replaced_file(storage, rank)?;
    let mut file = create(storage, &path, replaced.as_deref())?;
    fill(&mut *file, &path, durability, writer.len(), phases, |file, path| {
        writer.write(contents, file, path)
    })?;
    Ok(writer.len())
}
