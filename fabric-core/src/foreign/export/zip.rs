//! Writes the zip archive of `torch.save`: uncompressed members, in one pass from start to end.
//!
//! ```text
//! local header, name, padding      the checksum and the sizes are left blank; the data begins at a multiple of 64
//! data
//! descriptor                       CRC-32 and sizes; none behind a member without data
//! ...
//! central directory                the same again for each member, with its place
//! zip64 end, its locator, end
//! ```
//!
//! The format is PKWARE's APPNOTE.TXT 6.3.10. Where it leaves a choice, the writer does as `torch.save` does, so that
//! `torch.load` also finds the bytes when it maps the file or computes offsets.

#[cfg(test)]
mod tests;

use crc_fast::{CrcAlgorithm, Digest};

use crate::error::Result;

/// The alignment of a member's data in bytes, counted from the start of the archive.
pub(crate) const ALIGNMENT: u64 = 64;

/// The smallest size or offset that needs a 64-bit field.
const LIMIT: u64 = u32::MAX as u64;

/// The flags of a member with data: its sizes follow the data, and its name is UTF-8.
const STREAMED: u16 = 0x0808;

/// The flags of a member without data: no descriptor follows, and its name is UTF-8.
const EMPTY: u16 = 0x0800;

/// The first version of the format with 64-bit fields.
const VERSION: u16 = 45;

/// 1 January 1980, the earliest date of the format. A constant date makes equal contents equal bytes.
const DATE: u16 = 0x21;

/// The largest number of bytes that are collected before they are written.
const GATHERED: usize = 1 << 20;

/// The identifier of the extra field with 64-bit sizes and offsets.
const ZIP64: u16 = 1;

/// A sink for the bytes of the archive.
pub(super) type Sink<'s> = dyn FnMut(&[u8]) -> Result<()> + 's;

/// An archive that is being written.
pub(crate) struct Archive<'s> {
    sink: &'s mut Sink<'s>,
    gathered: Vec<u8>,
    /// The length of the archive so far, the collected bytes included.
    position: u64,
    members: Vec<Member>,
}

/// The fields of a member's entry in the central directory.
struct Member {
    name: String,
    header: u64,
    len: u64,
    crc: u32,
}

/// Little-endian fields, in their order.
#[derive(Default)]
struct Record(Vec<u8>);

impl Record {
    fn u16(mut self, number: u16) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn u64(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// A number in a 32-bit field: all ones if a 64-bit field holds it.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The length of a short text or field.
fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

impl<'s> Archive<'s> {
    pub(crate) fn new(sink: &'s mut Sink<'s>) -> Self {
        Self {
            sink,
            gathered: Vec::with_capacity(GATHERED),
            position: 0,
            members: Vec::new(),
        }
    }

    /// Adds a member of `len` bytes. `fill` passes all of them, in pieces.
    pub(crate) fn member(
        &mut self,
        name: &str,
        len: u64,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let header = self.position;
        self.put(&local_header(name, header, len))?;
        let mut digest = Digest::new(CrcAlgorithm::Crc32IsoHdlc);
        fill(&mut |bytes| {
            digest.update(bytes);
            self.put(bytes)
        })?;
        // A CRC-32 has 32 bits in every integer type.
        let crc = narrow(digest.finalize());
        if len > 0 {
            self.put(&descriptor(header, len, crc))?;
        }
        self.members.push(Member {
            name: name.to_owned(),
            header,
            len,
            crc,
        });
        Ok(())
    }

    /// Adds a member of which no byte is written, to learn the length of the archive.
    pub(crate) fn unwritten_member(&mut self, name: &str, len: u64) -> Result<()> {
        self.member(name, len, |_| Ok(()))?;
        self.position += len;
        Ok(())
    }

    /// Adds a member whose bytes are in memory.
    pub(crate) fn small_member(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.member(name, bytes.len() as u64, |put| put(bytes))
    }

    /// Writes the directory, and returns the length of the whole archive in bytes.
    pub(crate) fn finish(&mut self) -> Result<u64> {
        let start = self.position;
        let members = std::mem::take(&mut self.members);
        for member in &members {
            self.put(&central_header(member))?;
        }
        let len = self.position - start;
        self.put(&end(members.len() as u64, start, len))?;
        (self.sink)(&self.gathered)?;
        Ok(self.position)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.position += bytes.len() as u64;
        if self.gathered.len() + bytes.len() > GATHERED {
            (self.sink)(&self.gathered)?;
            self.gathered.clear();
        }
        if bytes.len() >= GATHERED {
            return (self.sink)(bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }
}

/// Returns true if the descriptor and the headers of a member need 64-bit fields.
fn is_wide(header: u64, len: u64) -> bool {
    header >= LIMIT || len >= LIMIT
}

/// The local header, padded so that the data is aligned.
fn local_header(name: &str, header: u64, len: u64) -> Vec<u8> {
    let mut wide = Record::default();
    if len >= LIMIT {
        wide = wide.u64(len).u64(len);
    }
    if header >= LIMIT {
        wide = wide.u64(header);
    }
    let mut extra = extra_field(&wide);
    // The padding is an extra field: the identifier `FB`, its length, and letters `Z`.
    let unpadded = header + 30 + name.len() as u64 + extra.len() as u64 + 4;
    let padding = usize::try_from(unpadded.next_multiple_of(ALIGNMENT) - unpadded).unwrap_or_default();
    extra.extend(b"FB");
    extra.extend(short(padding).to_le_bytes());
    extra.resize(extra.len() + padding, b'Z');
    let size = if len >= LIMIT { u32::MAX } else { 0 };
    Record::default()
        .bytes(b"PK\x03\x04")
        .u16(if is_wide(header, len) { VERSION } else { 0 })
        .u16(if len == 0 { EMPTY } else { STREAMED })
        .u16(0)
        .u16(0)
        .u16(DATE)
        .u32(0)
        .u32(size)
        .u32(size)
        .u16(short(name.len()))
        .u16(short(extra.len()))
        .bytes(name.as_bytes())
        .bytes(&extra)
        .0
}

/// The extra field with 64-bit numbers; empty if no number needs 64 bits.
fn extra_field(wide: &Record) -> Vec<u8> {
    if wide.0.is_empty() {
        return Vec::new();
    }
    let len = short(wide.0.len());
    Record::default().u16(ZIP64).u16(len).bytes(&wide.0).0
}

fn descriptor(header: u64, len: u64, crc: u32) -> Vec<u8> {
    let start = Record::default().bytes(b"PK\x07\x08").u32(crc);
    if is_wide(header, len) {
        start.u64(len).u64(len).0
    } else {
        start.u32(narrow(len)).u32(narrow(len)).0
    }
}

fn central_header(member: &Member) -> Vec<u8> {
    let Member { name, header, len, crc } = member;
    let mut wide = Record::default();
    if *len >= LIMIT {
        wide = wide.u64(*len).u64(*len);
    }
    if *header >= LIMIT {
        wide = wide.u64(*header);
    }
    let extra = extra_field(&wide);
    Record::default()
        .bytes(b"PK\x01\x02")
        .u16(0)
        .u16(if is_wide(*header, *len) { VERSION } else { 0 })
        .u16(if *len == 0 { EMPTY } else { STREAMED })
        .u16(0)
        .u16(0)
        .u16(DATE)
        .u32(*crc)
        .u32(narrow(*len))
        .u32(narrow(*len))
        .u16(short(name.len()))
        .u16(short(extra.len()))
        .u16(0)
        .u16(0)
        .u16(0)
        .u32(0)
        .u32(narrow(*header))
        .bytes(name.as_bytes())
        .bytes(&extra)
        .0
}

/// The three records at the end. As in `torch.save`, the 64-bit records are always written.
fn end(members: u64, start: u64, len: u64) -> Vec<u8> {
    let count = u16::try_from(members).unwrap_or(u16::MAX);
    Record::default()
        .bytes(b"PK\x06\x06")
        .u64(44)
        .u16(VERSION)
        .u16(VERSION)
        .u32(0)
        .u32(0)
        .u64(members)
        .u64(members)
        .u64(len)
        .u64(start)
        .bytes(b"PK\x06\x07")
        .u32(0)
        .u64(start + len)
        .u32(1)
        .bytes(b"PK\x05\x06")
        .u16(0)
        .u16(0)
        .u16(count)
        .u16(count)
        .u32(narrow(len))
        .u32(narrow(start))
        .u16(0)
        .0
}
