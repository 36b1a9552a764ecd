//! One safetensors file: our own checkpoint if it has a manifest, bare weights if not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Check, Files, Index, Part, Place, Source, StoredTensor};
use crate::entry::{Region, of_rank};
use crate::error::{Error, Result};
use crate::format::agree;
use crate::format::directory::FILE_NAME;
use crate::format::manifest::{CBOR, Manifest, ManifestError, PartRecord, SHARD_MAGIC, TensorRecord, ValueRecord};
use crate::format::safetensors::{Header, LENGTH_BYTES, Placed, header_len};
use crate::pages;
use crate::storage::ReadFile;
use crate::value::Value;

/// What a manifest is in memory is no longer than so many times its bytes.
pub(super) const DECODED: usize = 8;

/// Opens a file that is one of the two.
pub(super) fn open(file: Box<dyn ReadFile>, path: &Path) -> Result<Arc<dyn Source>> {
    let header = read_header(&*file, path)?;
    let index = match header
        .manifest()
        .map_err(|error| Error::corrupt(path, error.to_string()))?
    {
        Some(placed) => own(&*file, path, &header, placed)?,
        None => bare(&header, path),
    };
    Ok(Arc::new(Files {
        index: Arc::new(index),
        files: vec![(file, path.to_path_buf())],
    }))
}

/// Reads and checks the header of a safetensors file.
pub(super) fn read_header(file: &dyn ReadFile, path: &Path) -> Result<Header> {
    let len = file.len().map_err(Error::io("look at", path))?;
    let mut first = [0; LENGTH_BYTES];
    let present = usize::try_from(len).map_or(LENGTH_BYTES, |len| len.min(LENGTH_BYTES));
    read(file, path, &mut first[..present], 0)?;
    if let Some(what) = foreign(&first[..present]) {
        return Err(Error::UnknownFormat {
            path: path.to_path_buf(),
            what: what.to_owned(),
        });
    }
    let corrupt = |error: &dyn std::fmt::Display| Error::corrupt(path, error.to_string());
    let header_len = header_len(&first[..present], len).map_err(|error| corrupt(&error))?;
    let mut bytes = pages::zeroed(header_len).map_err(Error::io("read", path))?;
    read(file, path, &mut bytes, 0)?;
    Header::parse(&bytes, len).map_err(|error| corrupt(&error))
}

/// Files that begin like something else.
fn foreign(first: &[u8]) -> Option<&'static str> {
    match first {
        [] => Some("it is empty"),
        [b'G', b'G', b'U', b'F', ..] => Some("it is a GGUF file; candle reads those itself"),
        _ => None,
    }
}

fn read(file: &dyn ReadFile, path: &Path, into: &mut [u8], from: u64) -> Result<()> {
    file.read_exact_at(into, from).map_err(Error::io("read", path))
}

/// The bytes of the manifest inside of a file.
pub(super) fn read_manifest(file: &dyn ReadFile, path: &Path, placed: &Placed) -> Result<Vec<u8>> {
    // The header has checked that the manifest lies inside the file.
    let len = usize::try_from(placed.end - placed.start).unwrap_or(usize::MAX);
    let mut bytes = pages::zeroed(len).map_err(Error::io("read", path))?;
    read(file, path, &mut bytes, placed.start)?;
    Ok(bytes)
}

/// A checkpoint of ours: the manifest is the index, and everything in it has been checked.
fn own(file: &dyn ReadFile, path: &Path, header: &Header, placed: &Placed) -> Result<Index> {
    let bytes = read_manifest(file, path, placed)?;
    pages::look(bytes.len().saturating_mul(DECODED)).map_err(Error::io("read", path))?;
    let manifest = Manifest::decode(&bytes).map_err(|error| match error {
        ManifestError::Newer { found, supported } => Error::NewerFormat {
            path: path.to_path_buf(),
            found,
            supported,
        },
        ManifestError::Magic { found: SHARD_MAGIC, .. } => Error::UnknownFormat {
            path: path.to_path_buf(),
            what: format!(
                "it is one rank's part of a checkpoint; open the directory that holds {FILE_NAME}, two levels up"
            ),
        },
        other => Error::corrupt(path, other.to_string()),
    })?;
    agree(header, &manifest).map_err(|what| Error::corrupt(path, what))?;
    from_manifest(manifest, path)
}

/// The index that a manifest describes.
fn from_manifest(manifest: Manifest, path: &Path) -> Result<Index> {
    let mut tensors: Vec<(String, StoredTensor)> = manifest.tensors.into_iter().map(stored_tensor).collect();
    for tie in manifest.ties {
        let target = usize::try_from(tie.target).ok().and_then(|at| tensors.get(at));
        let (_, target) =
            target.ok_or_else(|| Error::corrupt(path, format!("entry `{}` is tied to nothing", tie.name)))?;
        tensors.push((tie.name, target.clone()));
    }
    Ok(Index {
        origin: path.display().to_string(),
        // Sorted ones become a map at once, without a search for each.
        tensors: tensors.into_iter().collect(),
        values: own_values(&manifest.values, path)?,
        filtered: manifest.filtered.into_iter().collect(),
        state_version: manifest.state_version,
        ..Index::default()
    })
}

/// The values of a manifest; those of one rank are called after it.
pub(super) fn own_values(records: &[ValueRecord], path: &Path) -> Result<BTreeMap<String, Value>> {
    let mut values = BTreeMap::new();
    for record in records {
        if record.form != CBOR {
            let what = format!(
                "value `{}` is in form {}, which this version does not read",
                record.name, record.form
            );
            return Err(Error::UnknownFormat {
                path: path.to_path_buf(),
                what,
            });
        }
        let value = Value::from_bytes(&record.bytes)
            .map_err(|error| Error::corrupt(path, format!("value `{}` {error}", record.name)))?;
        let name = match record.rank {
            Some(rank) => of_rank(&record.name, rank as usize),
            None => record.name.clone(),
        };
        if values.insert(name, value).is_some() {
            let what = format!("value `{}` is there twice, once as that of a rank", record.name);
            return Err(Error::corrupt(path, what));
        }
    }
    Ok(values)
}

fn stored_tensor(record: TensorRecord) -> (String, StoredTensor) {
    let part = |part: &PartRecord| {
        let place = Place {
            file: part.file as usize,
            start: part.start,
            len: part.len,
        };
        Part::plain(part.region(), place, Check::Blocks(part.sums()))
    };
    let stored = StoredTensor {
        info: record.info(),
        parts: record.parts.iter().map(part).collect(),
    };
    (record.name, stored)
}

/// A safetensors file of anybody's: tensors, and nothing else.
fn bare(header: &Header, path: &Path) -> Index {
    Index {
        origin: path.display().to_string(),
        tensors: header
            .tensors
            .iter()
            .map(|placed| (placed.name.clone(), bare_tensor(placed, 0)))
            .collect(),
        tensors_only: true,
        ..Index::default()
    }
}

/// A whole tensor in one file, without checksums.
pub(super) fn bare_tensor(placed: &Placed, file: usize) -> StoredTensor {
    StoredTensor {
        info: placed.info.clone(),
        parts: vec![Part::plain(
            Region::whole(placed.info.shape()),
            Place {
                file,
                start: placed.start,
                len: placed.end - placed.start,
            },
            Check::Nothing,
        )],
    }
}
