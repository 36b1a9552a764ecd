//! Whether a manifest is true in itself. A valid checksum proves that the bytes are the writer's, not that the writer
//! meant well: every number that a load would trust is checked here, once.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{CBOR, FileRecord, Manifest, PartRecord, ShardManifest, TensorRecord, TieRecord, ValueRecord};
use crate::entry::{DType, Region, TensorInfo, check_name, covers, first_twice, is_all, shown};
use crate::format::safetensors::{LENGTH_BYTES, MAX_JSON};
use crate::hash::HashSet;
use crate::io::checksum;

/// Says what is wrong with a manifest, if anything is.
pub(super) fn check(manifest: &Manifest) -> Result<(), String> {
    mesh(&manifest.mesh)?;
    files(&manifest.files)?;
    let tensors = manifest.tensors.iter().map(|tensor| &tensor.name);
    names(tensors, &manifest.ties, &manifest.values, &manifest.filtered)?;
    for tensor in &manifest.tensors {
        check_tensor(tensor, &manifest.files).map_err(|what| format!("entry `{}`: {what}", tensor.name))?;
    }
    places(&manifest.tensors, &manifest.files)?;
    for tie in &manifest.ties {
        if tie.target as usize >= manifest.tensors.len() {
            let (count, target) = (manifest.tensors.len(), tie.target);
            return Err(format!(
                "entry `{}` is tied to tensor {target}, and there are {count}",
                tie.name
            ));
        }
    }
    forms(&manifest.values)
}

pub(in crate::format) fn forms(values: &[ValueRecord]) -> Result<(), String> {
    match values.iter().find(|value| value.form != CBOR) {
        None => Ok(()),
        Some(value) => Err(format!(
            "the value `{}` is of form {}, which is unknown",
            value.name, value.form
        )),
    }
}

/// The same for one file of several: each tensor has one part here, somewhere in its shape.
pub(super) fn check_shard(manifest: &ShardManifest) -> Result<(), String> {
    let files = std::slice::from_ref(&manifest.file);
    self::files(files)?;
    let mut taken = HashSet::default();
    for tensor in &manifest.tensors {
        let name = &tensor.name;
        check_name(name).map_err(|what| format!("the entry name `{}` {what}", shown(name)))?;
        if !taken.insert(name) {
            return Err(format!("entry `{name}` is there twice"));
        }
        let [part] = tensor.parts.as_slice() else {
            return Err(format!("entry `{name}` has {} parts in one file", tensor.parts.len()));
        };
        if tensor.info().byte_len().is_none() || !part.region().is_inside(&tensor.shape) {
            let (region, shape) = (part.region(), &tensor.shape);
            return Err(format!(
                "entry `{name}`: the part {region} reaches outside the shape {shape:?}"
            ));
        }
        check_part(part, tensor.dtype, files).map_err(|what| format!("entry `{name}`: {what}"))?;
    }
    places(&manifest.tensors, files)
}

pub(in crate::format) fn mesh(axes: &[(String, u64)]) -> Result<(), String> {
    let mut ranks = 1u64;
    let mut names = HashSet::default();
    for (name, size) in axes {
        if name.is_empty() || !names.insert(name) {
            return Err(format!("the mesh has two axes `{name}`, or one without a name"));
        }
        match ranks.checked_mul(*size) {
            None | Some(0) => return Err(format!("the mesh's axis `{name}` has the size {size}")),
            Some(product) => ranks = product,
        }
    }
    Ok(())
}

fn files(files: &[FileRecord]) -> Result<(), String> {
    let mut names = HashSet::default();
    for FileRecord {
        name, header_len, len, ..
    } in files
    {
        let alone = name.is_empty() && files.len() == 1;
        if !alone && !is_below(name) {
            return Err(format!("the file name `{name}` does not stay below the checkpoint"));
        }
        if !names.insert(name) {
            return Err(format!("the file `{name}` is listed twice"));
        }
        if header_len > len || *header_len > LENGTH_BYTES as u64 + MAX_JSON {
            return Err(format!(
                "the file `{name}` has {len} bytes with a header of {header_len}"
            ));
        }
    }
    Ok(())
}

/// Whether a path leads to a file below the directory it is relative to, on every system.
fn is_below(name: &str) -> bool {
    let plain = |segment: &str| !matches!(segment, "" | "." | "..");
    name.split('/').all(plain) && !name.chars().any(|c| c.is_control() || matches!(c, '\\' | ':'))
}

/// One entry, one name; only a value that differs by rank is there once for each.
pub(in crate::format) fn names<'n>(
    tensors: impl Iterator<Item = &'n String>,
    ties: &'n [TieRecord],
    values: &'n [ValueRecord],
    filtered: &[String],
) -> Result<(), String> {
    let shared = values
        .iter()
        .filter(|value| value.rank.is_none())
        .map(|value| &value.name);
    let taken = tensors.chain(ties.iter().map(|tie| &tie.name)).chain(shared);
    let mut taken: Vec<&str> = taken.map(String::as_str).collect();
    for name in &taken {
        check_name(name).map_err(|what| format!("the entry name `{}` {what}", shown(name)))?;
    }
    if let Some(name) = first_twice(&mut taken) {
        return Err(format!("entry `{name}` is there twice"));
    }
    let mut ranked = BTreeSet::new();
    for value in values.iter().filter(|value| value.rank.is_some()) {
        let name = &value.name;
        check_name(name).map_err(|what| format!("the entry name `{}` {what}", shown(name)))?;
        if taken.binary_search(&name.as_str()).is_ok() || !ranked.insert((name, value.rank)) {
            return Err(format!("entry `{name}` is there twice"));
        }
    }
    for name in filtered {
        check_name(name).map_err(|what| format!("the name `{}` of a filtered entry {what}", shown(name)))?;
    }
    Ok(())
}

fn check_tensor(tensor: &TensorRecord, files: &[FileRecord]) -> Result<(), String> {
    if bytes(tensor.dtype, &tensor.shape).is_none() {
        return Err(format!("{} has no size in whole bytes", tensor.info()));
    }
    // One part that is all of it needs no copies of boxes.
    if !matches!(&tensor.parts[..], [part] if is_all(&part.offset, &part.size, &tensor.shape)) {
        let regions: Vec<Region> = tensor.parts.iter().map(PartRecord::region).collect();
        covers(&tensor.shape, &regions)?;
    }
    tensor
        .parts
        .iter()
        .try_for_each(|part| check_part(part, tensor.dtype, files))
}

fn check_part(part: &PartRecord, dtype: DType, files: &[FileRecord]) -> Result<(), String> {
    let PartRecord { file, start, len, .. } = *part;
    let Some(record) = files.get(file as usize) else {
        return Err(format!("a part is in file {file}, and there are {}", files.len()));
    };
    if bytes(dtype, &part.size) != Some(len) {
        let info = TensorInfo::of(dtype, &part.size);
        return Err(format!("a part is {info} and has {len} bytes"));
    }
    if start < record.header_len || start.checked_add(len).is_none_or(|end| end > record.len) {
        let (header, end) = (record.header_len, record.len);
        return Err(format!(
            "a part has {len} bytes at {start}, and its file has data at {header}..{end}"
        ));
    }
    let (found, expected) = (part.sums.len(), checksum::blocks(len));
    if (found as u64) != expected.saturating_mul(checksum::LEN as u64) {
        return Err(format!(
            "a part of {len} bytes has {found} bytes of checksums for {expected} blocks"
        ));
    }
    Ok(())
}

/// Parts leave no byte of a file's data to nobody, and none to two: what no part holds, no checksum covers.
///
/// Behind the parts of a single file is the manifest itself, where its header says.
fn places(tensors: &[TensorRecord], files: &[FileRecord]) -> Result<(), String> {
    let place = |part: &PartRecord| (part.file as usize, part.start, part.start + part.len);
    let parts = tensors.iter().flat_map(|tensor| &tensor.parts);
    let mut places: Vec<(usize, u64, u64)> = parts.map(place).collect();
    places.sort_unstable();
    let mut ends: Vec<u64> = files.iter().map(|file| file.header_len).collect();
    for (file, start, end) in places {
        if start != ends[file] {
            let (name, before) = (&files[file].name, ends[file]);
            return Err(format!(
                "the file `{name}` has a part that ends at {before}, and the next begins at {start}"
            ));
        }
        ends[file] = end;
    }
    for (FileRecord { name, len, .. }, end) in files.iter().zip(ends) {
        if end != *len && !name.is_empty() {
            return Err(format!("the file `{name}` has {len} bytes, and its parts end at {end}"));
        }
    }
    Ok(())
}

/// The bytes of a tensor, if it fills whole ones.
fn bytes(dtype: DType, shape: &[usize]) -> Option<u64> {
    let info = TensorInfo::of(dtype, shape);
    let (bytes, bits) = (info.byte_len()?, info.elements()?.checked_mul(dtype.bits())?);
    (bits % 8 == 0).then_some(bytes as u64)
}
