//! The staging memory, into which tensors are copied: chunks that are allocated when they are first needed, and kept.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::io::checksum::BLOCK;
use crate::io::pages;

/// The longest chunk in bytes: long enough to be worth sending, short enough that the disk does not wait for the first
/// one.
const LONGEST: usize = 8 * BLOCK;

/// A bounded number of chunks. Free chunks are kept: their pages are mapped, so copying into them is as fast as memory.
#[derive(Debug)]
pub(super) struct Staging {
    /// The length of each chunk, a multiple of [`BLOCK`].
    chunk: usize,
    most: usize,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    free: Vec<Box<[u8]>>,
    made: usize,
}

impl Staging {
    /// At most `bytes` bytes in total, and at least one block.
    pub(super) fn new(bytes: usize) -> Self {
        let chunk = (bytes / 4 / BLOCK * BLOCK).clamp(BLOCK, LONGEST);
        Self {
            chunk,
            most: (bytes / chunk).max(1),
            pool: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Allocates the first chunk, so that [`take`](Self::take) returns.
    ///
    /// # Errors
    /// If there is no memory for a chunk.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let mut pool = self.lock();
        if pool.made == 0 {
            let bytes = pages::zeroed(self.chunk)?;
            pool.made = 1;
            pool.free.push(bytes.into());
        }
        Ok(())
    }

    /// A chunk with arbitrary contents. Waits for a free chunk if all are in use, or if there is no memory for another
    /// one.
    ///
    /// # Errors
    /// If there is no chunk yet, and no memory for one.
    pub(super) fn take(self: &Arc<Self>) -> io::Result<StagingChunk> {
        let mut pool = self.lock();
        let mut more = true;
        let bytes = loop {
            if let Some(bytes) = pool.free.pop() {
                break bytes;
            }
            if more && pool.made < self.most {
                match pages::zeroed(self.chunk) {
                    Ok(bytes) => {
                        pool.made += 1;
                        break bytes.into();
                    }
                    Err(error) if pool.made == 0 => return Err(error),
                    Err(_) => more = false,
                }
            } else {
                pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
            }
        };
        Ok(StagingChunk {
            bytes,
            home: Arc::clone(self),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chunk of the staging memory, to which it returns when it is dropped.
#[derive(Debug)]
pub(super) struct StagingChunk {
    bytes: Box<[u8]>,
    home: Arc<Staging>,
}

impl Deref for StagingChunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for StagingChunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for StagingChunk {
    fn drop(&mut self) {
        self.home.lock().free.push(std::mem::take(&mut self.bytes));
        self.home.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_chunks_come_back() {
        for (bytes, chunk, most) in [
            (0, BLOCK, 1),
            (3 * BLOCK, BLOCK, 3),
            (9 * BLOCK, 2 * BLOCK, 4),
            (100 * BLOCK, 8 * BLOCK, 12),
        ] {
            let staging = Arc::new(Staging::new(bytes));
            let all: Vec<StagingChunk> = (0..most).map(|_| staging.take().expect("memory")).collect();
            assert!(all.iter().all(|each| each.len() == chunk), "{bytes} bytes");
            drop(all);
            let again: Vec<StagingChunk> = (0..most).map(|_| staging.take().expect("memory")).collect();
            assert_eq!(staging.lock().made, again.len(), "{bytes} bytes");
        }
    }

    #[test]
    fn who_finds_none_waits_for_one() {
        let staging = Arc::new(Staging::new(0));
        staging.prepare().expect("memory");
        let mut only = staging.take().expect("memory");
        only[0] = 7;
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| staging.take().expect("a chunk")[0]);
            drop(only);
            assert_eq!(waiter.join().expect("no panic"), 7, "the same chunk");
        });
    }
}
