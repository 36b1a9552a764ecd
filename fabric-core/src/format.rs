//! Our container: a safetensors file with a manifest inside.
//!
//! ```text
//! one file                                        a directory
//!
//! 0     +--------------------------------+        manifest.fabric       the same manifest, alone
//!       | length of the JSON, u64        |        <generation>/...      plain safetensors files,
//! 8     | JSON: names, shapes, offsets  |                              one a writer
//!       | spaces                         |
//! 4096k +--------------------------------+
//!       | tensors, widest element first  |        every byte is covered by one checksum:
//!       | ...                            |          header      <- manifest, files[..].header_sum
//!       +--------------------------------+          tensors     <- manifest, tensors[..].parts[..].sums
//!       | `__fabric__`: the manifest     |          manifest    <- its own last 8 bytes
//!       +--------------------------------+
//! ```
//!
//! The arrows say why one flipped bit cannot hide. The manifest holds the checksums of everything else and its own
//! comes last; a header whose entry `__fabric__` got another name still has the key [`MARKER`] among its metadata.
//! These rooms only turn bytes into structures and back: who reads and writes the bytes is not known here.
//!
//! `docs/format.md` describes the bytes for readers in other languages.

pub(crate) mod manifest;
pub(crate) mod safetensors;
#[cfg(test)]
mod tests;

use manifest::Manifest;
use safetensors::Header;

/// The tensor that holds the manifest: a row of bytes.
pub(crate) const MANIFEST: &str = "__fabric__";

/// The key under `__metadata__` that every file with a manifest has.
pub(crate) const MARKER: &str = "fabric";

/// Checks that the header and the manifest of a single file tell the same story.
///
/// # Errors
/// A sentence that names the entry about which they differ.
pub(crate) fn agree(header: &Header, manifest: &Manifest) -> Result<(), String> {
    let [file] = manifest.files.as_slice() else {
        return Err(format!(
            "the manifest of a single file speaks of {} files",
            manifest.files.len()
        ));
    };
    if !file.name.is_empty() {
        return Err(format!("the manifest of a single file calls it `{}`", file.name));
    }
    if file.header_len != header.len || file.header_sum != header.sum.to_le_bytes() {
        return Err("the header does not match its checksum in the manifest".to_owned());
    }
    let mut tensors: Vec<_> = manifest.tensors.iter().map(|tensor| (&tensor.name, tensor)).collect();
    tensors.sort_by_key(|(name, _)| *name);
    let mut placed: Vec<_> = header.tensors.iter().filter(|entry| entry.name != MANIFEST).collect();
    placed.sort_by_key(|entry| &entry.name);
    if let Some(name) = first_difference(tensors.iter().map(|t| t.0), placed.iter().map(|p| &p.name)) {
        return Err(format!(
            "entry `{name}` is in the header or in the manifest, not in both"
        ));
    }
    for ((name, tensor), entry) in tensors.into_iter().zip(placed) {
        let place = |part: &manifest::PartRecord| (part.start, part.start.saturating_add(part.len));
        let places: Vec<_> = tensor.parts.iter().map(place).collect();
        if tensor.info() != entry.info || places != [(entry.start, entry.end)] {
            let (header, manifest) = (&entry.info, tensor.info());
            return Err(format!(
                "entry `{name}` is {header} at {}..{} in the header, and {manifest} at {places:?} in the manifest",
                entry.start, entry.end
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
