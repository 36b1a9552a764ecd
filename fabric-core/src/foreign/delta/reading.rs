//! Reads the bytes of a delta from its start to its end, and compares each checksum.

use std::path::Path;

use crate::error::{Error, Result};
use crate::format::delta::{DeltaError, FRAME_HEAD, Form, FrameHead, Head, MAGIC, PREFIX, Prefix};
use crate::format::safetensors::MAX_JSON;
use crate::io::checksum::{self, BLOCK, Running};
use crate::source::ReadLimit;
use crate::source::open::first_bytes;
use crate::storage::ReadFile;

/// A frame whose checksum was compared.
pub(super) struct Frame<'d> {
    pub(super) head: FrameHead,
    pub(super) payload: &'d [u8],
    /// The first byte of the frame in the delta.
    pub(super) at: u64,
}

/// Reads a delta.
pub(super) struct DeltaReader<'f> {
    file: &'f dyn ReadFile,
    path: &'f Path,
    /// The length of the delta.
    pub(super) len: u64,
    sum: Running,
    held: Held,
}

/// The bytes from `at` that were read ahead.
#[derive(Default)]
struct Held {
    at: u64,
    bytes: Vec<u8>,
    used: usize,
}

impl<'f> DeltaReader<'f> {
    pub(super) fn new(file: &'f dyn ReadFile, path: &'f Path) -> Result<Self> {
        Ok(Self {
            file,
            path,
            len: file.len().map_err(Error::io("look at", path))?,
            sum: Running::new(),
            held: Held::default(),
        })
    }

    /// Reads the head.
    pub(super) fn head(&mut self, limit: ReadLimit) -> Result<Head> {
        let first = first_bytes::<PREFIX>(self.file, self.path)?;
        let prefix = Prefix::parse(&first, self.len).map_err(|error| self.damaged(error))?;
        limit.check_piece(self.path, "head", prefix.head, MAX_JSON + BLOCK as u64)?;
        let len = PREFIX + usize::try_from(prefix.head).unwrap_or(usize::MAX - PREFIX);
        let whole = self.take("its head", len + checksum::LEN)?;
        let (head, sum) = whole.split_at(len);
        let (head, sum) = (head.to_vec(), sum.to_vec());
        self.sum.update(&head);
        if self.sum.finish().to_le_bytes() != sum[..] {
            return Err(self.damaged(DeltaError::HeadChecksum));
        }
        Head::parse(&head[PREFIX..], &prefix).map_err(|error| self.damaged(error))
    }

    /// Reads the frame of a block of `block` bytes, of which the base has one or not.
    pub(super) fn frame(&mut self, block: usize, has_base: bool) -> Result<Frame<'_>> {
        let at = self.held.at + self.held.used as u64;
        let (part, path) = ("the frame there", self.path);
        let first = self.peek(part, FRAME_HEAD)?;
        let bytes = first.first_chunk().copied().unwrap_or([0; FRAME_HEAD]);
        let head = FrameHead::parse(&bytes, at, block).map_err(|error| damaged(path, error))?;
        let len = FRAME_HEAD + head.len as usize;
        self.peek(part, len + checksum::LEN)?;
        let (frame, rest) = self.held.rest().split_at(len);
        self.sum.update(frame);
        if !rest.starts_with(&self.sum.finish().to_le_bytes()) {
            return Err(damaged(path, DeltaError::Checksum { at }));
        }
        if !has_base && (head.form == Form::Same || head.base != 0) {
            return Err(damaged(path, DeltaError::NoBase { at }));
        }
        let from = self.held.used + FRAME_HEAD;
        self.held.used += len + checksum::LEN;
        let payload = &self.held.bytes[from..from + head.len as usize];
        Ok(Frame { head, payload, at })
    }

    /// Checks that all bytes were read.
    pub(super) fn finish(self) -> Result<()> {
        match self.len - (self.held.at + self.held.used as u64) {
            0 => Ok(()),
            stray => Err(self.damaged(DeltaError::Stray(stray))),
        }
    }

    /// The next `len` bytes, which are used then.
    fn take(&mut self, part: &'static str, len: usize) -> Result<&[u8]> {
        self.peek(part, len)?;
        let from = self.held.used;
        self.held.used += len;
        Ok(&self.held.bytes[from..from + len])
    }

    /// The next `len` bytes and perhaps more.
    fn peek(&mut self, part: &'static str, len: usize) -> Result<&[u8]> {
        let here = self.held.rest().len();
        if here < len {
            let left = self.len - self.held.at - self.held.bytes.len() as u64;
            let wanted = (len - here).max(BLOCK);
            let more = usize::try_from(left).map_or(wanted, |left| left.min(wanted));
            if here + more < len {
                let len = self.len;
                return Err(self.damaged(DeltaError::TooShort { part, len }));
            }
            let Held { at, bytes, used } = &mut self.held;
            bytes.drain(..*used);
            *at += std::mem::take(used) as u64;
            let grown = crate::io::pages::resize(bytes, here + more);
            let read = grown.and_then(|()| self.file.read_exact_at(&mut bytes[here..], *at + here as u64));
            read.map_err(Error::io("read", self.path))?;
        }
        Ok(self.held.rest())
    }

    fn damaged(&self, error: DeltaError) -> Error {
        damaged(self.path, error)
    }
}

impl Held {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }
}

/// The error for bytes that are not a delta, or are a damaged one.
pub(super) fn damaged(path: &Path, error: DeltaError) -> Error {
    let path = path.to_path_buf();
    match error {
        DeltaError::Newer { found, supported } => Error::NewerFormat { path, found, supported },
        DeltaError::Magic { ref found } if *found != MAGIC => Error::UnknownFormat {
            path,
            what: format!("{error}; Fabric::export_delta writes a delta"),
        },
        error => Error::corrupt(&path, error.to_string()),
    }
}
