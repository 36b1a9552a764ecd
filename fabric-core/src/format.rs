//! The container of a checkpoint: a safetensors file with a manifest inside.
//!
//! ```text
//! one file                                        a directory
//!
//! 0     +--------------------------------+        manifest.fabric             names, shapes, cuts, values
//!       | length of the JSON, u64        |        <generation>/
//! 8     | JSON: names, shapes, offsets   |          rank-00000.safetensors    files like the one on the left,
//!       |                                |          rank-00001.safetensors    one a writer
//!       | spaces                         |
//! 4096k +--------------------------------+
//!       | tensors, widest element first  |        every byte is covered by one checksum:
//!       | ...                            |          header      <- manifest, file.header_sum
//!       +--------------------------------+          tensors     <- manifest, tensors[..].part.sums
//!       | `__fabric__`: the manifest     |          manifest    <- its own last 8 bytes
//!       +--------------------------------+
//! ```
//!
//! The manifest of a directory has the sharding of each tensor, and each file has a manifest with places and checksums,
//! so that the shared manifest does not grow with the number of ranks. All manifests are one structure, [`Manifest`].
//!
//! Every flipped bit is noticed. The manifest has the checksums of everything else, and its own comes last; a header
//! whose entry `__fabric__` got another name still has the key [`MARKER`] among its metadata. This room turns bytes
//! into structures and back, and neither reads nor writes files.
//!
//! `docs/format.md` describes the bytes for readers in other languages.

pub(crate) mod delta;
pub(crate) mod directory;
mod envelope;
mod error;
pub(crate) mod facts;
pub(crate) mod manifest;
pub(crate) mod safetensors;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use envelope::{MAGIC, MAX_LEN as MAX_MANIFEST, PREFIX};
pub(crate) use error::ManifestError;
use manifest::{FileRecord, Manifest};
use safetensors::Header;

/// The name of the tensor whose bytes are the manifest.
pub(crate) const MANIFEST: &str = "__fabric__";

/// The key under `__metadata__` that every file with a manifest has.
pub(crate) const MARKER: &str = "fabric";

/// Checks that the header and the manifest of a file agree.
///
/// # Errors
/// Names the entry about which they differ.
pub(crate) fn agree(header: &Header, manifest: &Manifest) -> Result<(), String> {
    let FileRecord {
        header_len, header_sum, ..
    } = manifest
        .body
        .file
        .as_ref()
        .ok_or("the manifest in a file is that of a directory")?;
    if *header_len != header.len || *header_sum != header.sum.to_le_bytes() {
        return Err("the header does not match its checksum in the manifest".to_owned());
    }
    let mut tensors: Vec<_> = manifest.body.tensors.iter().collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let mut entries: Vec<_> = header.tensors.iter().filter(|entry| entry.name != MANIFEST).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(name) = first_difference(tensors.iter().map(|t| &t.name), entries.iter().map(|e| &e.name)) {
        return Err(format!(
            "entry `{name}` is in the header or in the manifest, not in both"
        ));
    }
    for (tensor, entry) in tensors.into_iter().zip(entries) {
        let place = tensor
            .part
            .as_ref()
            .map(|part| (part.start, part.start.saturating_add(part.len)));
        // The header of a rank's file has the shape of the part.
        let alike = entry.info.dtype() == tensor.dtype && entry.info.shape() == tensor.part_shape();
        if !alike || place != Some((entry.start, entry.end)) {
            let (start, end) = place.unwrap_or_default();
            return Err(format!(
                "entry `{}` is {} at {}..{} in the header, and {} at {start}..{end} in the manifest",
                entry.name,
                entry.info,
                entry.start,
                entry.end,
                tensor.info(),
            ));
        }
    }
    Ok(())
}

/// The first name that only one of two sorted sequences has.
fn first_difference<'n>(
    mut a: impl Iterator<Item = &'n String>,
    mut b: impl Iterator<Item = &'n String>,
) -> Option<&'n String> {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (Some(a), Some(b)) if a == b => {}
            (a, b) => return a.into_iter().chain(b).min(),
        }
    }
}
