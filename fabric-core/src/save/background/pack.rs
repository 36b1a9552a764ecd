//! Packs pieces into chunks of the staging memory, one behind the other, and hands over each chunk that is full.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::staging::{Chunk, Staging};
use crate::error::{Error, Result};
use crate::io::checksum::{BLOCK, Running};

/// A chunk with the bytes of pieces.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) chunk: Chunk,
    pub(crate) runs: Vec<Packed>,
    /// The checksums of all blocks, in order.
    pub(crate) sums: Vec<u64>,
}

/// A run of a piece in a chunk: whole blocks, if the piece does not end there.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) piece: usize,
    pub(crate) bytes: Range<usize>,
    pub(crate) sums: Range<usize>,
}

/// Why nothing more is copied.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nobody takes what is copied: the save has failed.
    Unwanted,
    /// It cannot be copied.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Stop {
    /// Tells whoever takes what is copied.
    pub(crate) fn tell(self, filled: &Sender<Result<Filled>>) {
        if let Self::Failed(error) = self {
            // If nobody listens, the save has failed for another reason.
            let _ = filled.send(Err(error));
        }
    }
}

fn no_memory(source: io::Error) -> Stop {
    Stop::Failed(Error::Memory {
        purpose: "copy tensors".to_owned(),
        source,
    })
}

/// Fills chunks.
pub(crate) struct Packer<'a> {
    staging: &'a Arc<Staging>,
    filled: &'a Sender<Result<Filled>>,
    open: Option<Open>,
    /// The piece that is being put, and how much of it is to come.
    piece: usize,
    left: usize,
}

/// The chunk that is being filled.
struct Open {
    filled: Filled,
    used: usize,
    /// How much of the piece may still be put behind what was put last.
    room: usize,
    /// The checksum of what was put of the present block, and how much that is. No block goes on in another chunk.
    sum: Running,
    summed: usize,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(staging: &'a Arc<Staging>, filled: &'a Sender<Result<Filled>>) -> Self {
        Self {
            staging,
            filled,
            open: None,
            piece: 0,
            left: 0,
        }
    }

    /// What is put from now on are the bytes of this piece, which has `len` of them.
    pub(crate) fn begin(&mut self, piece: usize, len: usize) {
        (self.piece, self.left) = (piece, len);
        if let Some(open) = &mut self.open {
            open.room = 0;
        }
    }

    /// Puts the next bytes of the piece.
    pub(crate) fn put(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        if bytes.len() > self.left {
            return Err(Stop::Failed(Error::Internal(format!(
                "{} bytes were copied where {} belong",
                bytes.len(),
                self.left
            ))));
        }
        while !bytes.is_empty() {
            let left = self.left;
            let put = self.roomy()?.put(bytes, left);
            self.left -= put;
            bytes = &bytes[put..];
        }
        Ok(())
    }

    /// Hands over the last chunk.
    pub(crate) fn finish(mut self) -> Result<(), Stop> {
        self.hand_over()
    }

    /// A chunk with room for the piece: for its rest where that fits, otherwise for as many whole blocks as do.
    fn roomy(&mut self) -> Result<&mut Open, Stop> {
        let (piece, left) = (self.piece, self.left);
        if !self.open.as_mut().is_some_and(|open| open.make_room(piece, left)) {
            self.hand_over()?;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => Open::new(self.staging.take().map_err(no_memory)?),
        };
        let open = self.open.insert(open);
        open.make_room(piece, left);
        Ok(open)
    }

    fn hand_over(&mut self) -> Result<(), Stop> {
        match self.open.take() {
            None => Ok(()),
            Some(open) => self.filled.send(Ok(open.filled)).map_err(|_| Stop::Unwanted),
        }
    }
}

impl Open {
    fn new(chunk: Chunk) -> Self {
        Self {
            filled: Filled {
                chunk,
                runs: Vec::new(),
                sums: Vec::new(),
            },
            used: 0,
            room: 0,
            sum: Running::new(),
            summed: 0,
        }
    }

    /// Begins a run of a piece of which `left` bytes are to come, unless one has room; says whether there is any.
    fn make_room(&mut self, piece: usize, left: usize) -> bool {
        if self.room == 0 {
            let free = self.filled.chunk.len() - self.used;
            self.room = if left <= free { left } else { free / BLOCK * BLOCK };
            if self.room > 0 {
                let sums = self.filled.sums.len();
                self.filled.runs.push(Packed {
                    piece,
                    bytes: self.used..self.used,
                    sums: sums..sums,
                });
            }
        }
        self.room > 0
    }

    /// Puts bytes of the present block, as many as there are and there is room for, and says how many. `left` are to come of
    /// the piece.
    fn put(&mut self, bytes: &[u8], left: usize) -> usize {
        let len = bytes.len().min(self.room).min(BLOCK - self.summed);
        let end = self.used + len;
        self.sum.copy(&bytes[..len], &mut self.filled.chunk[self.used..end]);
        self.used = end;
        self.room -= len;
        self.summed += len;
        if self.summed == BLOCK || len == left {
            self.filled.sums.push(self.sum.finish());
            (self.sum, self.summed) = (Running::new(), 0);
        }
        if let Some(run) = self.filled.runs.last_mut() {
            run.bytes.end = end;
            run.sums.end = self.filled.sums.len();
        }
        len
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::io::checksum;

    #[test]
    fn every_run_but_the_last_of_a_piece_is_of_whole_blocks_and_has_their_checksums() {
        let staging = Arc::new(Staging::new(64 * BLOCK));
        let (sender, receiver) = channel();
        let lens = [5, 3 * BLOCK + 1, 17 * BLOCK + 9, 1, 0, 8 * BLOCK];
        let mut packer = Packer::new(&staging, &sender);
        for (piece, &len) in (0u8..).zip(&lens) {
            packer.begin(piece.into(), len);
            for put in vec![piece; len].chunks(BLOCK / 2 + 3) {
                packer.put(put).expect("there is room");
            }
        }
        assert!(
            matches!(packer.put(&[1]), Err(Stop::Failed(_))),
            "the piece is complete"
        );
        packer.finish().expect("somebody listens");
        let mut seen = lens.map(|_| 0);
        for filled in receiver.try_iter() {
            let filled = filled.expect("nothing fails");
            for Packed { piece, bytes, sums } in filled.runs {
                seen[piece] += bytes.len();
                assert!(bytes.len() % BLOCK == 0 || seen[piece] == lens[piece], "piece {piece}");
                let bytes = &filled.chunk[bytes];
                assert!(bytes.iter().all(|&byte| usize::from(byte) == piece));
                assert_eq!(filled.sums[sums], checksum::sums(bytes), "piece {piece}");
            }
        }
        assert_eq!(seen, lens);
    }
}
