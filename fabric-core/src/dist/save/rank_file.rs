//! The file of one rank in a checkpoint's directory.

use std::path::Path;

use super::shard_dir::ShardDir;
use crate::entry::Row;
use crate::error::Result;
use crate::format::directory;
use crate::format::manifest::{Body, Manifest, ManifestHead, ManifestKind};
use crate::options::Durability;
use crate::phases::Phases;
use crate::save::WRITER;
use crate::save::file::{Contents, FileWriter};
use crate::save::publish::{create, fill};
use crate::source::hidden::Token;
use crate::storage::Storage;

/// Writes the rows that are assigned to a rank, and returns the length of the file in bytes. A rank without rows writes
/// no file.
pub(crate) fn write<T>(
    storage: &dyn Storage,
    shard_dir: &ShardDir,
    rank: usize,
    rows: &[Row<T>],
    contents: &dyn Contents,
    durability: Durability,
    phases: &Phases,
) -> Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let path = shard_dir.folder().join(directory::rank_file(rank));
    let mut writer = FileWriter::new(rows, manifest(shard_dir.generation(), rank), &path)?;
    let replaced = shard_dir.replaced_file(storage, rank)?;
    let mut file = create(storage, &path, replaced.as_deref())?;
    fill(&mut *file, &path, durability, writer.len(), phases, |file, path| {
        writer.write(contents, file, path)
    })?;
    Ok(writer.len())
}

/// The length in bytes that the file of a rank would have.
pub(crate) fn len<T>(path: &Path, rank: usize, rows: &[Row<T>]) -> Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let manifest = manifest(&Token::draw().generation(), rank);
    Ok(FileWriter::new(rows, manifest, path)?.len())
}

fn manifest(generation: &str, rank: usize) -> Manifest {
    Manifest {
        head: ManifestHead {
            kind: ManifestKind::Shard,
            writer: WRITER.to_owned(),
            generation: generation.to_owned(),
            rank: u32::try_from(rank).unwrap_or(u32::MAX),
            ..ManifestHead::default()
        },
        body: Body::default(),
    }
}
