//! The members of a zip archive that are stored as they are: how `torch.save` packs a checkpoint.
//!
//! Written from PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5. Only what such archives need is read: one disk, no
//! compression, no encryption. Everything that two readers could understand differently is refused: members that
//! overlap, names that occur twice, headers that contradict the directory.

mod central;
mod end;
mod local;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io;

use crate::source::window::Slice;

/// Longer directories are refused: a million members with names of two hundred bytes.
const MAX_DIRECTORY: u64 = 256 << 20;

/// An archive's members, with their names, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    pub(crate) members: Vec<(String, Member)>,
}

/// One member: a run of bytes in the file that holds the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The first byte, counted from the start of the *file*.
    pub(crate) start: u64,
    pub(crate) len: u64,
    /// CRC-32/ISO-HDLC of the bytes; `None` if the archive was written without checksums.
    pub(crate) crc32: Option<u32>,
}

/// Why an archive is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZipError {
    #[error("reading it failed: {0}")]
    Io(#[from] io::Error),
    /// Offsets count from the start of the archive.
    #[error("{what} (zip archive, byte {at})")]
    Corrupt { at: u64, what: String },
    /// Well formed, and more than this reader does.
    #[error("{0}")]
    Unsupported(String),
}

impl ZipError {
    fn corrupt(at: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { at, what: what.into() }
    }
}

impl Archive {
    /// Reads and checks the directory and every local header of the archive that fills `slice`.
    ///
    /// # Errors
    /// If reading fails; if it is no archive, damaged, contradicts itself, or is compressed or encrypted.
    pub(crate) fn read(slice: Slice<'_>) -> Result<Self, ZipError> {
        let directory = end::find(slice)?;
        if directory.len > MAX_DIRECTORY {
            let what = format!(
                "the directory of the archive has {} bytes; {MAX_DIRECTORY} are the most that is read",
                directory.len
            );
            return Err(ZipError::Unsupported(what));
        }
        let bytes = slice.bytes(directory.start, directory.len)?;
        let entries = central::parse(&bytes, directory)?;
        let members = local::locate(slice, entries, directory.start)?;
        Ok(Self { members })
    }
}

impl Member {
    /// The bytes of a small member, verified; `name` is what it is called.
    ///
    /// # Errors
    /// If it is longer than `most`, reading fails, or its checksum differs.
    pub(crate) fn contents<'f>(&self, slice: Slice<'f>, name: &str, most: u64) -> Result<Cow<'f, [u8]>, ZipError> {
        if self.len > most {
            let what = format!(
                "member `{name}` has {} bytes; {most} are the most that is read",
                self.len
            );
            return Err(ZipError::Unsupported(what));
        }
        let bytes = slice.bytes(self.start - slice.start, self.len)?;
        if self.crc32.is_none_or(|sum| sum == crate::io::checksum::crc32(&bytes)) {
            return Ok(bytes);
        }
        Err(ZipError::corrupt(
            self.start - slice.start,
            format!("member `{name}` does not match its checksum"),
        ))
    }
}

/// Little-endian fields, one after the other.
struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    fn new(rest: &'b [u8]) -> Self {
        Self { rest }
    }

    fn bytes(&mut self, len: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
