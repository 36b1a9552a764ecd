//! One file in memory: its bytes, and which of them a crash may take.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::sample::{CrashSample, digits};
use crate::io::pages;

/// A file, whatever its name. Readers and the writer keep it when the name goes.
#[derive(Debug)]
pub(super) struct File {
    /// Another for every file of this process.
    pub(super) number: u64,
    content: RwLock<FileContent>,
}

#[derive(Debug, Default)]
pub(super) struct FileContent {
    pub(super) bytes: Vec<u8>,
    /// The number of bytes, from the start, that a crash leaves alone.
    durable: usize,
    /// Where each write ended that came after the last sync.
    ends: Vec<usize>,
    /// True while its writer exists.
    pub(super) held: bool,
}

/// The part of a write that a crash leaves, as a digit of a number to the base 3.
const MISSING: usize = 0;
const TORN: usize = 1;
const WHOLE: usize = 2;

impl File {
    fn new(content: FileContent) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            content: RwLock::new(content),
        })
    }

    pub(super) fn new_held() -> Arc<Self> {
        Self::new(FileContent {
            held: true,
            ..FileContent::default()
        })
    }

    /// A file without a writer and without pending writes.
    fn settled(bytes: Vec<u8>) -> Arc<Self> {
        let durable = bytes.len();
        Self::new(FileContent {
            bytes,
            durable,
            ..FileContent::default()
        })
    }

    pub(super) fn content(&self) -> RwLockReadGuard<'_, FileContent> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn content_mut(&self) -> RwLockWriteGuard<'_, FileContent> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileContent {
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !bytes.is_empty() {
            pages::append(&mut self.bytes, bytes)?;
            self.ends.push(self.bytes.len());
        }
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.bytes.len();
        self.ends.clear();
    }

    /// The different contents that a crash may leave of this file: first the least, last everything. Beyond `limit` a
    /// sample; the flag says whether it is complete.
    pub(super) fn after_crash(&self, limit: usize) -> (Vec<Arc<File>>, bool) {
        let (choices, complete) = self.choices(limit);
        let mut seen = HashSet::new();
        let mut files = Vec::new();
        for choice in choices {
            let bytes = self.left_by(&choice);
            if bytes != self.bytes && seen.insert(bytes.clone()) {
                files.push(File::settled(bytes));
            }
        }
        files.push(File::settled(self.bytes.clone()));
        (files, complete)
    }

    /// One digit for each unsynced write, and one for the length: 0 if the file ends with the last byte that is left, 1
    /// if it has its full length, padded with zeros.
    fn choices(&self, limit: usize) -> (Vec<Vec<usize>>, bool) {
        let writes = self.ends.len();
        if writes == 0 {
            return (Vec::new(), true);
        }
        let bases: Vec<usize> = std::iter::repeat_n(3, writes).chain([2]).collect();
        if let Some(all) = digits(&bases, limit) {
            return (all, true);
        }
        let uniform = |digit, length| std::iter::repeat_n(digit, writes).chain([length]).collect::<Vec<_>>();
        let mut choices = vec![uniform(MISSING, 0), uniform(MISSING, 1), uniform(TORN, 1)];
        for write in 0..writes {
            for digit in [MISSING, TORN] {
                let mut one = uniform(WHOLE, 1);
                one[write] = digit;
                choices.push(one);
            }
        }
        choices.truncate(limit);
        let mut sample = CrashSample::new();
        while choices.len() < limit {
            choices.push(bases.iter().map(|base| sample.below(*base)).collect());
        }
        (choices, false)
    }

    fn left_by(&self, choice: &[usize]) -> Vec<u8> {
        let mut left = self.bytes[..self.durable].to_vec();
        let mut start = self.durable;
        for (&end, &digit) in self.ends.iter().zip(choice) {
            let stop = match digit {
                MISSING => start,
                TORN => start + (end - start) / 2,
                _ => end,
            };
            if stop > start {
                left.resize(start, 0);
                left.extend_from_slice(&self.bytes[start..stop]);
            }
            start = end;
        }
        if choice.last() == Some(&1) {
            left.resize(start, 0);
        }
        left
    }
}
