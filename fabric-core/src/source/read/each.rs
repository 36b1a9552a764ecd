//! Reads blocks that nothing is made of: to compare their checksums.

use std::sync::{Mutex, PoisonError};

use super::{THREADS, in_parallel, no_less, read_block};
use crate::error::{Error, Result};
use crate::io::pages;
use crate::source::{Block, Source};

/// A block of an entry, with what the caller wants to know again when it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marked<'t, M> {
    pub(crate) entry: &'t str,
    pub(crate) block: Block,
    pub(crate) mark: M,
}

/// Reads blocks with several threads, and hands the bytes of each to `take`, or the error of a block that is damaged or
/// cannot be read. Each thread has memory for one block.
///
/// # Errors
/// The first error that `take` returns ends the reading. An error if the system lacks the memory for a block.
pub(crate) fn read_each<'t, M>(
    source: &dyn Source,
    blocks: impl Iterator<Item = Marked<'t, M>> + Send,
    take: impl Fn(&Marked<'t, M>, Result<&[u8], Error>) -> Result<()> + Sync,
) -> Result<()> {
    let work = Mutex::new(blocks);
    // The memory of threads that are between two blocks.
    let memory: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    in_parallel(THREADS, || {
        let marked = work.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        let held = memory.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = held.unwrap_or_default();
        let len = marked.block.len;
        let mut read = || {
            if bytes.len() < len {
                bytes = no_less(source, pages::zeroed(len))?;
            }
            let into = &mut bytes[..len];
            match read_block(source, marked.entry, marked.block, into) {
                Ok(()) => take(&marked, Ok(into)),
                Err(error) => take(&marked, Err(error)),
            }
        };
        let outcome = read();
        memory.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        Some(outcome)
    })
}
