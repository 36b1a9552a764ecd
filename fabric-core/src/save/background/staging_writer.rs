//! Copies rows into chunks of the staging memory, one behind the other, and sends each chunk that is full.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::staging::{Staging, StagingChunk};
use crate::error::{Error, Result};
use crate::io::checksum::{BLOCK, Running};

/// A chunk with the bytes of rows.
#[derive(Debug)]
pub(super) struct FilledChunk {
    pub(super) chunk: StagingChunk,
    pub(super) runs: Vec<PackedRun>,
    /// The checksums of all blocks, in order.
    pub(super) sums: Vec<u64>,
}

/// Consecutive bytes of a row in a chunk: whole blocks, unless the row ends there.
#[derive(Debug)]
pub(super) struct PackedRun {
    pub(super) row: usize,
    pub(super) bytes: Range<usize>,
    pub(super) sums: Range<usize>,
}

/// The reason why the copy ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The receiver is gone: the save has failed.
    Unwanted,
    /// A row cannot be copied.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Stop {
    /// Sends the error to the thread that writes.
    pub(super) fn tell(self, filled: &Sender<Result<FilledChunk>>) {
        if let Self::Failed(error) = self {
            // If the receiver is gone, the save has failed for another reason.
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

/// Fills chunks and sends them.
pub(super) struct StagingWriter<'a> {
    staging: &'a Arc<Staging>,
    filled: &'a Sender<Result<FilledChunk>>,
    open: Option<OpenChunk>,
    /// The present row, and the number of its bytes that are not copied yet.
    row: usize,
    left: usize,
}

/// The chunk that is being filled.
struct OpenChunk {
    filled: FilledChunk,
    used: usize,
    /// The number of bytes of the present row that still fit behind the last ones.
    room: usize,
    /// The checksum of the copied bytes of the present block, and their number. No block continues in another chunk.
    sum: Running,
    summed: usize,
}

impl<'a> StagingWriter<'a> {
    pub(super) fn new(staging: &'a Arc<Staging>, filled: &'a Sender<Result<FilledChunk>>) -> Self {
        Self {
            staging,
            filled,
            open: None,
            row: 0,
            left: 0,
        }
    }

    /// Starts a row of `len` bytes.
    pub(super) fn start_row(&mut self, row: usize, len: usize) {
        (self.row, self.left) = (row, len);
        if let Some(open) = &mut self.open {
            open.room = 0;
        }
    }

    /// Copies the next bytes of the row.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        if bytes.len() > self.left {
            return Err(Stop::Failed(Error::Internal(format!(
                "{} bytes were copied where {} belong",
                bytes.len(),
                self.left
            ))));
        }
        while !bytes.is_empty() {
            let left = self.left;
            let put = self.open_chunk()?.append(bytes, left);
            self.left -= put;
            bytes = &bytes[put..];
        }
        Ok(())
    }

    /// Sends the last chunk.
    pub(super) fn finish(mut self) -> Result<(), Stop> {
        self.hand_over()
    }

    /// A chunk with room for the row: for the rest of the row if it fits, otherwise for as many whole blocks as fit.
    fn open_chunk(&mut self) -> Result<&mut OpenChunk, Stop> {
        let (row, left) = (self.row, self.left);
        if !self.open.as_mut().is_some_and(|open| open.make_room(row, left)) {
            self.hand_over()?;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => OpenChunk::new(self.staging.take().map_err(no_memory)?),
        };
        let open = self.open.insert(open);
        open.make_room(row, left);
        Ok(open)
    }

    fn hand_over(&mut self) -> Result<(), Stop> {
        match self.open.take() {
            None => Ok(()),
            Some(open) => self.filled.send(Ok(open.filled)).map_err(|_| Stop::Unwanted),
        }
    }
}

impl OpenChunk {
    fn new(chunk: StagingChunk) -> Self {
        Self {
            filled: FilledChunk {
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

    /// Begins a run of a row of which `left` bytes are missing, unless one has room; true if there is room.
    fn make_room(&mut self, row: usize, left: usize) -> bool {
        if self.room == 0 {
            let free = self.filled.chunk.len() - self.used;
            self.room = if left <= free { left } else { free / BLOCK * BLOCK };
            if self.room > 0 {
                let sums = self.filled.sums.len();
                self.filled.runs.push(PackedRun {
                    row,
                    bytes: self.used..self.used,
                    sums: sums..sums,
                });
            }
        }
        self.room > 0
    }

    /// Copies bytes of the present block, as many as fit, and returns their number. `left` bytes of the row are
    /// missing.
    fn append(&mut self, bytes: &[u8], left: usize) -> usize {
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
        let mut writer = StagingWriter::new(&staging, &sender);
        for (row, &len) in (0u8..).zip(&lens) {
            writer.start_row(row.into(), len);
            for put in vec![row; len].chunks(BLOCK / 2 + 3) {
                writer.write(put).expect("there is room");
            }
        }
        assert!(
            matches!(writer.write(&[1]), Err(Stop::Failed(_))),
            "the row is complete"
        );
        writer.finish().expect("somebody listens");
        let mut seen = lens.map(|_| 0);
        for filled in receiver.try_iter() {
            let filled = filled.expect("nothing fails");
            for PackedRun { row, bytes, sums } in filled.runs {
                seen[row] += bytes.len();
                assert!(bytes.len() % BLOCK == 0 || seen[row] == lens[row], "row {row}");
                let bytes = &filled.chunk[bytes];
                assert!(bytes.iter().all(|&byte| usize::from(byte) == row));
                assert_eq!(filled.sums[sums], checksum::sums(bytes), "row {row}");
            }
        }
        assert_eq!(seen, lens);
    }
}
