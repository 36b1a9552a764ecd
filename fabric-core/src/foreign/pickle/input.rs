//! Reads the bytes of a pickle, with a check of every length.

use super::Problem;

/// A position in the input.
#[derive(Debug)]
pub(super) struct Input<'b> {
    bytes: &'b [u8],
    pub(crate) at: usize,
}

impl<'b> Input<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn left(&self) -> &'b [u8] {
        &self.bytes[self.at..]
    }

    fn truncated(&self, wanted: u64) -> Problem {
        Problem::Truncated {
            wanted,
            left: self.left().len(),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let array = *self.left().first_chunk::<N>().ok_or_else(|| self.truncated(N as u64))?;
        self.at += N;
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Problem> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Problem> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Problem> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Problem> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Problem> {
        self.array().map(i32::from_le_bytes)
    }

    /// A 32-bit length, which Python treats as signed.
    pub(crate) fn length(&mut self) -> Result<u64, Problem> {
        u64::try_from(self.i32()?).map_err(|_| Problem::Malformed("a negative length"))
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: u64) -> Result<&'b [u8], Problem> {
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let bytes = end.and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.truncated(len))?;
        self.at += bytes.len();
        Ok(bytes)
    }

    /// The next `len` bytes as a text.
    pub(crate) fn text(&mut self, len: u64) -> Result<&'b str, Problem> {
        utf8(self.bytes(len)?)
    }

    /// The bytes before the next line feed. The line feed is skipped.
    pub(crate) fn line(&mut self) -> Result<&'b [u8], Problem> {
        let left = self.left();
        let line = left.iter().position(|byte| *byte == b'\n').map(|len| &left[..len]);
        let line = line.ok_or_else(|| self.truncated(left.len() as u64 + 1))?;
        self.at += line.len() + 1;
        Ok(line)
    }

    pub(crate) fn text_line(&mut self) -> Result<&'b str, Problem> {
        utf8(self.line()?)
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::Malformed("a text that is not UTF-8"))
}
