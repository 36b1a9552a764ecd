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
use std::ops::Range;

use smallvec::SmallVec;

use self::central::{CRC32_BEFORE_NAME, Entry};
use self::local::CRC32_BEHIND;
use crate::source::window::Slice;

/// Longer directories are refused: a million members with names of two hundred bytes.
const MAX_DIRECTORY: u64 = 256 << 20;

/// The members of an archive around one tensor are as many: no memory is asked for on their account.
const USUAL: usize = 8;

/// An archive's members.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    /// Where the archive begins in the file.
    start: u64,
    /// The bytes of the directory, in which the names are.
    directory: Vec<u8>,
    /// Where the directory begins, counted from the start of the archive.
    directory_at: u64,
    members: SmallVec<[Named; USUAL]>,
}

/// A member, and the place of its name in the directory.
#[derive(Clone, Debug)]
struct Named {
    at: usize,
    len: usize,
    /// The local header, counted from the start of the archive.
    header: u64,
    member: Member,
}

/// What depends on the contents of a member, counted from the start of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    pub(crate) contents: Range<u64>,
    /// Its checksum in the directory.
    pub(crate) crc32: Range<u64>,
    /// Its checksum behind the contents, if there is room for one in front of the next member. Nothing that lies there
    /// is read.
    pub(crate) behind: Option<Range<u64>>,
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
        let mut entries = central::parse(&bytes, directory)?;
        let members = local::locate(slice, &mut entries, directory.start)?;
        drop(entries);
        Ok(Self {
            start: slice.start,
            directory: bytes.into_owned(),
            directory_at: directory.start,
            members,
        })
    }

    /// How many members there are.
    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    /// All members with their names, in the order of the file. The names were found to be texts when the directory was read.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&[u8], &Member)> {
        let name = |named: &Named| &self.directory[named.at..named.at + named.len];
        self.members.iter().map(move |named| (name(named), &named.member))
    }

    /// What depends on the contents of each member, in the order of [`members`](Self::members).
    pub(crate) fn traces(&self) -> impl Iterator<Item = Traces> {
        let headers = self.members.iter().skip(1).map(|named| named.header);
        let ends = headers.chain([self.directory_at]);
        self.members.iter().zip(ends).map(|(named, end)| {
            let start = named.member.start - self.start;
            let contents = start..start + named.member.len;
            let crc32 = self.directory_at + (named.at - CRC32_BEFORE_NAME) as u64;
            let behind = contents.end + CRC32_BEHIND;
            Traces {
                contents,
                crc32: crc32..crc32 + 4,
                behind: (behind + 4 <= end).then_some(behind..behind + 4),
            }
        })
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
