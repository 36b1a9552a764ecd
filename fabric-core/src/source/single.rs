//! Opens one safetensors file: a checkpoint of this library if it has a manifest, and bare weights if not.

use std::path::Path;
use std::sync::Arc;

use super::facts;
use super::limit::{Budget, OverLimit};
use super::open::{first_bytes, read_whole};
use super::refused::Refused;
use super::values::own_values;
use super::{About, Check, Extent, Files, Format, Index, Part, ReadLimit, Source, StoredTensor};
use crate::entry::Region;
use crate::error::{Error, Result};
use crate::format::directory::FILE_NAME;
use crate::format::manifest::{Manifest, ManifestKind, TensorRecord};
use crate::format::safetensors::{Header, HeaderError, LENGTH_BYTES, MAX_JSON, Placed, header_len};
use crate::format::{MANIFEST, ManifestError, agree};
use crate::source::recognized;
use crate::storage::ReadFile;

/// Opens a safetensors file.
pub(crate) fn open(file: Box<dyn ReadFile>, path: &Path, limit: ReadLimit) -> Result<Arc<dyn Source>> {
    let header = read_header(&*file, path, limit)?;
    let (index, about) = match header
        .manifest()
        .map_err(|error| Error::corrupt(path, error.to_string()))?
    {
        Some(placed) => own(&*file, path, &header, placed, limit)?,
        None => (bare(&header, path), About::of(Format::Safetensors)),
    };
    Ok(Arc::new(Files {
        index: Arc::new(index),
        about,
        files: vec![(file, path.to_path_buf())],
        limit,
    }))
}

/// Reads and checks the header of a safetensors file.
pub(crate) fn read_header(file: &dyn ReadFile, path: &Path, limit: ReadLimit) -> Result<Header> {
    let len = file.len().map_err(Error::io("look at", path))?;
    let first = first_bytes::<BEGINNING>(file, path)?;
    if !begins_like_one(&first) {
        return Err(something_else(file, path, &first)?);
    }
    let corrupt = |error: HeaderError| Error::corrupt(path, error.to_string());
    let header_len = header_len(&first, len).map_err(corrupt)? as u64;
    limit.check_piece(path, "header", header_len, MAX_JSON + LENGTH_BYTES as u64)?;
    let bytes = read_whole(file, path, 0, header_len)?;
    Header::parse(&bytes, len).map_err(|error| match error {
        // Foreign files may have element types that this version does not know. In a checkpoint of this library, an
        // unknown type is damage.
        HeaderError::UnknownDType { .. } if !names_manifest(&bytes) => Refused::unknown(error.to_string()).at(path),
        _ => corrupt(error),
    })
}

/// Returns true if the header seems to have the entry of a manifest. The header is not parsed.
fn names_manifest(header: &[u8]) -> bool {
    let name = MANIFEST.as_bytes();
    header.windows(name.len()).any(|bytes| bytes == name)
}

/// The number of first bytes that identify the format: the length of the header, and its beginning.
const BEGINNING: usize = LENGTH_BYTES + 2;

/// Returns true if a file may be a safetensors file, even if one byte is wrong or some are missing.
fn begins_like_one(first: &[u8]) -> bool {
    let Some((claimed, json)) = first.split_first_chunk::<LENGTH_BYTES>() else {
        return false;
    };
    let possible = u64::from_le_bytes(*claimed) <= MAX_JSON;
    match json {
        [b'{', b'"'] => true,
        [b'{', ..] | [_, b'"'] | [] => possible,
        _ => false,
    }
}

/// The error for a file that does not begin as a safetensors file.
fn something_else(file: &dyn ReadFile, path: &Path, first: &[u8]) -> Result<Error> {
    let what = match recognized::recognised(file, path)? {
        Some(what) => what,
        None if first.len() < BEGINNING => {
            let len = first.len() as u64;
            return Ok(Error::corrupt(path, HeaderError::TooShort { len }.to_string()));
        }
        None => format!("it begins with the bytes {first:02x?}, and no supported format begins with these"),
    };
    Ok(Error::UnknownFormat {
        path: path.to_path_buf(),
        what,
    })
}

/// The bytes of the manifest inside of a file.
pub(crate) fn read_manifest(file: &dyn ReadFile, path: &Path, placed: &Placed) -> Result<Vec<u8>> {
    // The header parser has checked that the manifest lies inside the file.
    read_whole(file, path, placed.start, placed.end - placed.start)
}

/// A checkpoint of this library: its manifest is the index, and its checks have passed.
fn own(file: &dyn ReadFile, path: &Path, header: &Header, placed: &Placed, limit: ReadLimit) -> Result<(Index, About)> {
    let bytes = read_manifest(file, path, placed)?;
    let manifest = Manifest::decode(&bytes).map_err(|error| match error {
        ManifestError::Newer { found, supported } => Error::NewerFormat {
            path: path.to_path_buf(),
            found,
            supported,
        },
        ManifestError::Unsupported(_) => Error::UnknownFormat {
            path: path.to_path_buf(),
            what: error.to_string(),
        },
        other => Error::corrupt(path, other.to_string()),
    })?;
    if manifest.head.kind == ManifestKind::Shard {
        return Err(Error::UnknownFormat {
            path: path.to_path_buf(),
            what: format!(
                "it is one rank's part of a checkpoint; open the directory that holds {FILE_NAME}, two levels up"
            ),
        });
    }
    agree(header, &manifest).map_err(|what| Error::corrupt(path, what))?;
    let mut memory = limit.budget(bytes.len());
    let about = About::of_head(Format::FabricFile, &manifest.head);
    Ok((from_manifest(manifest, path, &mut memory)?, about))
}

/// The index that a manifest describes.
fn from_manifest(manifest: Manifest, path: &Path, memory: &mut Budget) -> Result<Index> {
    let over = |over: OverLimit| Refused::from(over).at(path);
    let Manifest { head, body } = manifest;
    let mut tensors: Vec<(String, StoredTensor)> = body.tensors.into_iter().filter_map(stored_tensor).collect();
    for tie in body.ties {
        let target = usize::try_from(tie.target).ok().and_then(|at| tensors.get(at));
        let (_, target) =
            target.ok_or_else(|| Error::corrupt(path, format!("entry `{}` is tied to nothing", tie.name)))?;
        memory.spend(memory_of(target)).map_err(over)?;
        tensors.push((tie.name, target.clone()));
    }
    let tensors = tensors.into_iter().collect();
    Ok(Index {
        origin: path.display().to_string(),
        order: facts::order(&head.facts, &tensors),
        tensors_only: facts::tensors_only(&head.facts),
        tensors,
        values: own_values(&body.values, &head.mesh, path)?,
        filtered: body.filtered.into_iter().collect(),
        structs: body.structs,
        ..Index::default()
    })
}

/// The memory of another name of a tensor, in bytes, without the checksums, which all names share.
fn memory_of(stored: &StoredTensor) -> usize {
    let dims = stored.info.shape().len() * size_of::<[usize; 3]>();
    stored.parts.len() * size_of::<Part>() + dims
}

/// The tensor of a record. Every record in a file has a part.
fn stored_tensor(record: TensorRecord) -> Option<(String, StoredTensor)> {
    let part = record.part.as_ref()?;
    let place = Extent {
        file: 0,
        start: part.start,
        len: part.len,
    };
    let stored = StoredTensor {
        info: record.info(),
        parts: vec![Part::plain(record.region(), place, Check::Blocks(part.sums().into()))],
    };
    Some((record.name, stored))
}

/// A safetensors file of another program: tensors without values and checksums.
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
pub(crate) fn bare_tensor(placed: &Placed, file: usize) -> StoredTensor {
    StoredTensor {
        info: placed.info.clone(),
        parts: vec![Part::plain(
            Region::whole(placed.info.shape()),
            Extent {
                file,
                start: placed.start,
                len: placed.end - placed.start,
            },
            Check::Nothing,
        )],
    }
}
