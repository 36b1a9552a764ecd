//! Reads small pieces at ascending offsets of a file, a few kilobytes at a time.

use std::borrow::Cow;
use std::io;

use crate::io::pages;
use crate::storage::ReadFile;

/// The number of bytes that one call to the storage reads.
const CHUNK: usize = 4096;

/// A slice of a file. An archive may be a slice of a larger file, and counts its offsets from its own start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice<'f> {
    pub(crate) file: &'f dyn ReadFile,
    pub(crate) start: u64,
    pub(crate) len: u64,
    /// The bytes of the slice that have been read already.
    pub(crate) held: [CachedBytes<'f>; 2],
}

/// Bytes of a file in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CachedBytes<'f> {
    /// The offset of the first byte in the file.
    pub(crate) start: u64,
    pub(crate) bytes: &'f [u8],
}

impl<'f> CachedBytes<'f> {
    /// The `len` bytes from `start`, if all of them are in memory.
    pub(crate) fn get(self, start: u64, len: usize) -> Option<&'f [u8]> {
        let from = usize::try_from(start.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(len)?)
    }
}

impl<'f> Slice<'f> {
    /// A slice with all of a file.
    pub(crate) fn whole(file: &'f dyn ReadFile) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self {
            file,
            start: 0,
            len,
            held: Default::default(),
        })
    }

    /// The `len` bytes from `at`, counted from the start of the slice, if they are in memory.
    fn at_hand(&self, at: u64, len: usize) -> Option<&'f [u8]> {
        if len as u64 > self.len.checked_sub(at)? {
            return None;
        }
        let start = self.start + at;
        let [first, second] = self.held;
        first.get(start, len).or_else(|| second.get(start, len))
    }

    /// Fills `into` from `at`, counted from the start of the slice.
    pub(crate) fn read_exact(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        let end = at.checked_add(into.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(into, self.start + at)
    }

    /// The `len` bytes from `at`. The slice must contain them; this is checked before memory is allocated.
    pub(crate) fn bytes(&self, at: u64, len: u64) -> io::Result<Cow<'f, [u8]>> {
        let inside = at.checked_add(len).is_some_and(|end| end <= self.len);
        let Some(len) = usize::try_from(len).ok().filter(|_| inside) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if let Some(bytes) = self.at_hand(at, len) {
            return Ok(Cow::Borrowed(bytes));
        }
        let mut bytes = pages::zeroed(len)?;
        self.read_exact(&mut bytes, at)?;
        Ok(Cow::Owned(bytes))
    }
}

/// Reads small pieces of a slice through a buffer, so that one call to the storage serves neighbouring pieces.
#[derive(Debug)]
pub(crate) struct Window<'f> {
    slice: Slice<'f>,
    start: u64,
    buffer: Vec<u8>,
}

impl<'f> Window<'f> {
    pub(crate) fn new(slice: Slice<'f>) -> Self {
        Self {
            slice,
            start: 0,
            buffer: Vec::new(),
        }
    }

    /// The `len` bytes from `at`. Callers pass a small, known `len`.
    pub(crate) fn get(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        if let Some(bytes) = self.slice.at_hand(at, len) {
            return Ok(bytes);
        }
        let held = |start: u64, buffer: &[u8]| {
            let from = usize::try_from(at.checked_sub(start)?).ok()?;
            (from.checked_add(len)? <= buffer.len()).then_some(from)
        };
        let from = if let Some(from) = held(self.start, &self.buffer) {
            from
        } else {
            let left = self.slice.len.saturating_sub(at);
            let fetch = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK.max(len));
            pages::resize(&mut self.buffer, fetch)?;
            self.slice.read_exact(&mut self.buffer, at)?;
            self.start = at;
            0
        };
        let end = from + len;
        self.buffer
            .get(from..end)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
