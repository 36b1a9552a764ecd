//! The memory that tensors are copied into: chunks that are made when they are first needed, and used again ever after.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::io::checksum::BLOCK;
use crate::io::pages;

/// As long as a chunk gets: long enough to be worth handing over, short enough that the disk does not wait for the first.
const LONGEST: usize = 8 * BLOCK;

/// A bounded number of chunks. Those that nobody has are kept: their pages are touched, and copying into them is as fast
/// as memory.
#[derive(Debug)]
pub(crate) struct Staging {
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
    /// At most `bytes` in all; one block if that is less.
    pub(crate) fn new(bytes: usize) -> Self {
        let chunk = (bytes / 4 / BLOCK * BLOCK).clamp(BLOCK, LONGEST);
        Self {
            chunk,
            most: (bytes / chunk).max(1),
            pool: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Makes sure that there is a chunk at all, so that [`take`](Self::take) comes to an end.
    ///
    /// # Errors
    /// If there is no memory for one.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        let mut pool = self.lock();
        if pool.made == 0 {
            let bytes = pages::zeroed(self.chunk)?;
            pool.made = 1;
            pool.free.push(bytes.into());
        }
        Ok(())
    }

    /// A chunk with any contents. Waits until there is one, if all are made, or there is no memory for another one.
    ///
    /// # Errors
    /// If there is none at all, and no memory for one.
    pub(crate) fn take(self: &Arc<Self>) -> io::Result<Chunk> {
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
        Ok(Chunk {
            bytes,
            home: Arc::clone(self),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of the staging memory, which gets it back when this is dropped.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Box<[u8]>,
    home: Arc<Staging>,
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Chunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Chunk {
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
            let all: Vec<Chunk> = (0..most).map(|_| staging.take().expect("memory")).collect();
            assert!(all.iter().all(|each| each.len() == chunk), "{bytes} bytes");
            drop(all);
            let again: Vec<Chunk> = (0..most).map(|_| staging.take().expect("memory")).collect();
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
