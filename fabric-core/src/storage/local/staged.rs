//! Blocks on their way to a file: the caller fills one while a thread writes another.
//!
//! A direct write takes memory that is aligned, and returns when the device has the bytes. So bytes are copied to blocks
//! that are, and the caller does not wait for the device before all blocks are full.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::direct;
use crate::pages;

/// Where in memory and in the file direct writes begin, and what their lengths are multiples of. The device may be
/// content with less.
const ALIGNMENT: usize = 4096;

/// A device that is given less at a time is not at its rate.
const BLOCK: usize = 8 << 20;

/// One is filled, one is written.
const BLOCKS: usize = 2;

/// What blocks are written to.
pub(super) trait Target: Send + Sync {
    /// Appends some of `bytes`, and says how many.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// From now on writes need not be aligned.
    fn end_direct(&self) -> io::Result<()>;
}

impl Target for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        Write::write(&mut file, bytes)
    }

    fn end_direct(&self) -> io::Result<()> {
        direct::end(self)
    }
}

#[derive(Debug)]
pub(super) struct Staged {
    filling: Option<Block>,
    empty: Receiver<Block>,
    /// `None` when there is no more to come.
    full: Option<Sender<Block>>,
    writing: Option<JoinHandle<io::Result<()>>>,
    accepted: u64,
}

impl Staged {
    /// Begins to write about `len` bytes, directly if the target has been asked for that.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(super) fn start(target: Arc<dyn Target>, len: u64, direct: bool) -> io::Result<Self> {
        let (full, to_write) = channel::<Block>();
        let (give_back, empty) = channel();
        let size = usize::try_from(len).unwrap_or(BLOCK).clamp(ALIGNMENT, BLOCK);
        for _ in 0..BLOCKS {
            // The receiver is in this very function.
            let _ = give_back.send(Block::new(size.next_multiple_of(ALIGNMENT)));
        }
        let write = move || {
            let mut direct = direct;
            for mut block in to_write {
                write_out(&*target, block.bytes(), &mut direct)?;
                block.len = 0;
                // Nobody wants it back after the last.
                let _ = give_back.send(block);
            }
            Ok(())
        };
        Ok(Self {
            filling: None,
            empty,
            full: Some(full),
            writing: Some(thread::Builder::new().name("fabric-write".to_owned()).spawn(write)?),
            accepted: 0,
        })
    }

    /// Takes the bytes. They may not be in the file yet.
    ///
    /// # Errors
    /// Those of an earlier write, too. Then no more can be written.
    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut block = match self.filling.take() {
                Some(block) => block,
                None => match self.empty.recv() {
                    Ok(block) => block,
                    Err(_) => return Err(self.failure()),
                },
            };
            let taken = block.fill(bytes);
            bytes = &bytes[taken..];
            self.accepted += taken as u64;
            if block.is_full() {
                self.hand_over(block)?;
            } else {
                self.filling = Some(block);
            }
        }
        Ok(())
    }

    /// Waits until everything has been written, and says how many bytes that are.
    ///
    /// # Errors
    /// The first that any write met.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        if let Some(last) = self.filling.take() {
            self.hand_over(last)?;
        }
        self.join().map(|()| self.accepted)
    }

    fn hand_over(&mut self, block: Block) -> io::Result<()> {
        match &self.full {
            Some(full) if full.send(block).is_ok() => Ok(()),
            _ => Err(self.failure()),
        }
    }

    /// Why the thread has stopped.
    fn failure(&mut self) -> io::Error {
        let stopped = || io::Error::other("the thread that writes the file has stopped");
        self.join().err().unwrap_or_else(stopped)
    }

    fn join(&mut self) -> io::Result<()> {
        self.full = None;
        match self.writing.take().map(JoinHandle::join) {
            Some(Ok(written)) => written,
            _ => Err(io::Error::other("the thread that writes the file has stopped")),
        }
    }
}

impl Drop for Staged {
    /// Waits for the thread: nothing is written to a file that has been given up.
    fn drop(&mut self) {
        // Whoever gives a file up does not ask what became of it.
        let _ = self.join();
    }
}

/// Writes a block. What direct writes cannot do, the end of a file that is no multiple of the alignment and all of it
/// where the file system wants something else, ordinary ones do.
fn write_out(target: &dyn Target, mut bytes: &[u8], direct: &mut bool) -> io::Result<()> {
    while !bytes.is_empty() {
        let whole = bytes.len() / ALIGNMENT * ALIGNMENT;
        if *direct && whole == 0 {
            target.end_direct()?;
            *direct = false;
        }
        match target.write(if *direct { &bytes[..whole] } else { bytes }) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if *direct && direct::refuses(&error) => {
                target.end_direct()?;
                *direct = false;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Aligned memory.
struct Block {
    /// Longer than the block by the alignment.
    memory: Vec<u8>,
    start: usize,
    /// How much is filled.
    len: usize,
}

impl Block {
    fn new(size: usize) -> Self {
        let memory: Vec<u8> = pages::zeroed(size + ALIGNMENT);
        Self {
            start: memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT),
            memory,
            len: 0,
        }
    }

    fn size(&self) -> usize {
        self.memory.len() - ALIGNMENT
    }

    fn is_full(&self) -> bool {
        self.len == self.size()
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }

    /// Takes what there is room for, and says how much that is.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.size() - self.len);
        self.memory[self.start + self.len..][..taken].copy_from_slice(&bytes[..taken]);
        self.len += taken;
        taken
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
