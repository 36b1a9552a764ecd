//! The check of a manifest. A valid checksum proves that the bytes are the writer's, and not that the writer is honest:
//! every number that a load trusts is checked here, once.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{
    Body, CBOR, FileRecord, Manifest, ManifestHead, ManifestKind, PartRecord, TensorRecord, TieRecord, ValueRecord,
};
use crate::entry::{DType, TensorInfo, check_name, first_twice, shown};
use crate::format::error::ManifestError;
use crate::format::safetensors::{LENGTH_BYTES, MAX_JSON};
use crate::hash::HashSet;
use crate::io::checksum;

/// The largest number of ranks.
const MAX_RANKS: u64 = 1 << 20;

/// The largest number of bytes in all tensors.
const MAX_BYTES: u64 = 1 << 62;

/// Checks that a manifest does not contradict itself.
///
/// # Errors
/// The first contradiction, or contents of a later version.
pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    unsupported(&manifest.body).map_err(ManifestError::Unsupported)?;
    is_true(manifest).map_err(ManifestError::Invalid)
}

/// Refuses fields that no version has written yet.
fn unsupported(body: &Body) -> Result<(), String> {
    let elsewhere = |tensor: &&TensorRecord| tensor.part.as_ref().is_some_and(|part| part.file != 0);
    if let Some(tensor) = body.tensors.iter().find(elsewhere) {
        return Err(format!("that `{}` lies in another file", tensor.name));
    }
    if let Some(other) = body.others.first() {
        return Err(format!("that tensors lie in `{}`", shown(&other.name)));
    }
    Ok(())
}

fn is_true(manifest: &Manifest) -> Result<(), String> {
    let Manifest { head, body } = manifest;
    self::head(head)?;
    let tensors = body.tensors.iter().map(|tensor| &tensor.name);
    names(tensors, body)?;
    values(&body.values, &head.mesh)?;
    for TieRecord { name, target } in &body.ties {
        let count = body.tensors.len();
        if *target as usize >= count {
            return Err(format!(
                "entry `{name}` is tied to tensor {target}, and there are {count}"
            ));
        }
    }
    match (head.kind, &body.file) {
        (ManifestKind::File | ManifestKind::Shard, Some(file)) => in_file(head.kind, file, &body.tensors),
        (ManifestKind::Directory, None) => in_directory(&body.tensors),
        (ManifestKind::Directory, Some(_)) => Err("it is of a directory, and says that it is in a file".to_owned()),
        (_, None) => Err("it is of a file, and does not say of which".to_owned()),
    }
}

pub(super) fn head(head: &ManifestHead) -> Result<(), String> {
    mesh(&head.mesh)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let generation = &head.generation;
    let is_named = !generation.is_empty() && generation.len() <= 64 && generation.chars().all(plain);
    if is_named != (head.kind != ManifestKind::File) {
        return Err(format!("the generation `{}` is no name of a folder", shown(generation)));
    }
    let keys = head.facts.iter().map(|fact| &fact.key);
    if !keys.is_sorted_by(|a, b| a < b) {
        return Err("its facts are not in the order of their keys".to_owned());
    }
    Ok(())
}

fn mesh(axes: &[(String, u64)]) -> Result<(), String> {
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
    if ranks > MAX_RANKS {
        return Err(format!(
            "its mesh has {ranks} ranks, and more than {MAX_RANKS} are refused"
        ));
    }
    Ok(())
}

/// Refuses a name that is there twice, unless it is that of values of different ranks.
fn names<'n>(tensors: impl Iterator<Item = &'n String>, body: &'n Body) -> Result<(), String> {
    let values = &body.values;
    let shared = values
        .iter()
        .filter(|value| value.coordinate.is_empty())
        .map(|value| &value.name);
    let taken = tensors.chain(body.ties.iter().map(|tie| &tie.name)).chain(shared);
    let mut taken: Vec<&str> = taken.map(String::as_str).collect();
    for name in &taken {
        check_name(name).map_err(|what| format!("the entry name `{}` {what}", shown(name)))?;
    }
    if let Some(name) = first_twice(&mut taken) {
        return Err(format!("entry `{name}` is there twice"));
    }
    let mut ranked = BTreeSet::new();
    for value in values.iter().filter(|value| !value.coordinate.is_empty()) {
        let name = &value.name;
        check_name(name).map_err(|what| format!("the entry name `{}` {what}", shown(name)))?;
        if taken.binary_search(&name.as_str()).is_ok() || !ranked.insert((name, &value.coordinate)) {
            return Err(format!("entry `{name}` is there twice"));
        }
    }
    for name in &body.filtered {
        check_name(name).map_err(|what| format!("the name `{}` of a filtered entry {what}", shown(name)))?;
    }
    Ok(())
}

/// Checks that the coordinate of a value has an index along every axis of the mesh, in the order of the axes.
fn values(values: &[ValueRecord], mesh: &[(String, u64)]) -> Result<(), String> {
    for ValueRecord {
        name, coordinate, form, ..
    } in values
    {
        if *form != CBOR {
            return Err(format!("the value `{name}` is of form {form}, which is unknown"));
        }
        let axes = coordinate.iter().map(|(axis, _)| *axis as usize);
        let fits = |(index, size): (u32, u64)| u64::from(index) < size;
        let mut indices = coordinate
            .iter()
            .map(|(_, index)| *index)
            .zip(mesh.iter().map(|(_, size)| *size));
        let is_of_a_rank = axes.eq(0..mesh.len()) && indices.all(fits);
        if !coordinate.is_empty() && !is_of_a_rank {
            return Err(format!("the value `{name}` is of a rank that the mesh does not have"));
        }
    }
    Ok(())
}

fn in_file(kind: ManifestKind, file: &FileRecord, tensors: &[TensorRecord]) -> Result<(), String> {
    let FileRecord { header_len, len, .. } = file;
    if header_len > len || *header_len > LENGTH_BYTES as u64 + MAX_JSON {
        return Err(format!("the file has {len} bytes with a header of {header_len}"));
    }
    for tensor in tensors {
        part(kind, tensor, file).map_err(|what| format!("entry `{}`: {what}", tensor.name))?;
    }
    places(tensors, file)
}

fn part(kind: ManifestKind, tensor: &TensorRecord, file: &FileRecord) -> Result<(), String> {
    let Some(part) = &tensor.part else {
        return Err("the file holds nothing of it".to_owned());
    };
    if !tensor.cuts.is_empty() {
        return Err("it is cut, and that is said in a directory".to_owned());
    }
    let info = tensor.info();
    match kind {
        ManifestKind::File if part.region.is_some() => {
            return Err("a complete file holds all of it, and not a box".to_owned());
        }
        ManifestKind::File if bytes(tensor.dtype, &tensor.shape).is_none() => {
            return Err(format!("{info} has no size in whole bytes"));
        }
        _ => {}
    }
    if info.byte_len().is_none() || !tensor.region().is_inside(&tensor.shape) {
        let (region, shape) = (tensor.region(), &tensor.shape);
        return Err(format!("the part {region} reaches outside the shape {shape:?}"));
    }
    let PartRecord { start, len, .. } = *part;
    if bytes(tensor.dtype, tensor.part_shape()) != Some(len) {
        let info = TensorInfo::of(tensor.dtype, tensor.part_shape());
        return Err(format!("the part is {info} and has {len} bytes"));
    }
    if start < file.header_len || start.checked_add(len).is_none_or(|end| end > file.len) {
        let (header, end) = (file.header_len, file.len);
        return Err(format!(
            "the part has {len} bytes at {start}, and the file has data at {header}..{end}"
        ));
    }
    let (found, expected) = (part.sums.len(), checksum::blocks(len));
    if (found as u64) != expected.saturating_mul(checksum::LEN as u64) {
        return Err(format!(
            "the part of {len} bytes has {found} bytes of checksums for {expected} blocks"
        ));
    }
    Ok(())
}

/// Checks that the parts tile the data of the file, with the manifest behind them: a byte that no part holds would be
/// under no checksum.
fn places(tensors: &[TensorRecord], file: &FileRecord) -> Result<(), String> {
    let parts = tensors.iter().filter_map(|tensor| tensor.part.as_ref());
    let mut places: Vec<(u64, u64)> = parts.map(|part| (part.start, part.start + part.len)).collect();
    places.sort_unstable();
    let mut before = file.header_len;
    for (start, end) in places {
        if start != before {
            return Err(format!(
                "the file has a part that ends at {before}, and the next begins at {start}"
            ));
        }
        before = end;
    }
    Ok(())
}

/// Checks the records of shardings; `dist` checks them against the mesh.
fn in_directory(tensors: &[TensorRecord]) -> Result<(), String> {
    let mut total = 0u64;
    for tensor in tensors {
        let refused = |what: String| format!("entry `{}`: {what}", tensor.name);
        if tensor.part.is_some() {
            return Err(refused("a directory does not say where a part of it lies".to_owned()));
        }
        let info = tensor.info();
        let Some(bytes) = info.byte_len() else {
            return Err(refused(format!("{info} has no size in bytes")));
        };
        // The assignment of writers counts the bytes of all tensors together.
        total = total.saturating_add(bytes as u64);
        if total > MAX_BYTES {
            return Err(format!(
                "its tensors have more than {MAX_BYTES} bytes, which are refused"
            ));
        }
        if tensor.dtype.bits() < 8 && !tensor.cuts.is_empty() {
            return Err(refused("elements smaller than a byte are cut".to_owned()));
        }
    }
    Ok(())
}

/// The length of a tensor in bytes, if its elements fill whole bytes.
fn bytes(dtype: DType, shape: &[usize]) -> Option<u64> {
    let info = TensorInfo::of(dtype, shape);
    let (bytes, bits) = (info.byte_len()?, info.elements()?.checked_mul(dtype.bits())?);
    (bits % 8 == 0).then_some(bytes as u64)
}
