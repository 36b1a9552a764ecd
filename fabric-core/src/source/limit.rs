//! Bounds the memory that a file may ask for, in proportion to its length.
//!
//! An honest index takes a few bytes of memory for each of its own bytes, and honest tensors are about as long as the
//! file. The reader refuses a file of 100 KB whose views show 160 GiB, or a pickle of nothing but brackets, before it
//! allocates memory. Some honest files exceed these bounds, so a caller who trusts a file can raise them.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Check, Source, StoredTensor};
use crate::error::Error;
use crate::io::pages;

/// The bytes that every file may take in addition to its share.
pub(super) const DEFAULT: u64 = 64 << 20;

/// The least number of bytes that every part of a file may take in addition. Small parts cannot multiply.
const LEAST: u64 = 64 << 10;

/// The bytes of memory for each byte of a file.
const TIMES: u64 = 8;

/// The bound that the caller chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimit {
    beyond: u64,
}

impl Default for ReadLimit {
    fn default() -> Self {
        Self::new(DEFAULT)
    }
}

impl ReadLimit {
    /// A bound that gives every file `beyond` bytes in addition to its share.
    pub(crate) fn new(beyond: u64) -> Self {
        Self { beyond }
    }

    /// The bytes of memory for a file, or a part of one, of `len` bytes.
    pub(crate) fn given(self, len: u64) -> u64 {
        len.saturating_mul(TIMES).saturating_add(self.beyond)
    }

    /// The bound for one of several parts, `part` bytes of `whole`. All parts together may take as much as one file.
    pub(crate) fn share(self, part: u64, whole: u64) -> Self {
        let share = u128::from(self.beyond) * u128::from(part) / u128::from(whole.max(1));
        Self::new(u64::try_from(share).unwrap_or(u64::MAX).max(LEAST))
    }

    /// The bound as a budget, for a file of `len` bytes.
    pub(crate) fn budget(self, len: usize) -> Budget {
        let given = self.given(len as u64);
        Budget { given, left: given }
    }

    /// Scales a bound of another kind with the caller's bound. The default bound gives `usual`.
    pub(crate) fn scaled(self, usual: usize) -> usize {
        let scaled = (usual as u64).saturating_mul(self.beyond) / DEFAULT;
        usize::try_from(scaled).unwrap_or(usize::MAX).max(usual)
    }

    /// Refuses tensors that take `asked` bytes of memory, or of a new file, if the files have `len` bytes.
    pub(crate) fn check_tensors(self, path: &Path, asked: u64, len: u64) -> Result<(), Error> {
        let given = self.given(len);
        if asked <= given {
            return Ok(());
        }
        let what = format!(
            "its tensors take {asked} bytes where the file holds {len}, because several views show the same bytes; \
             the bound is {given}, {TIMES} times the length and {} more; {RAISE}",
            self.beyond
        );
        Err(over(path, what))
    }

    /// Refuses a new file of `asked` bytes that is made of files of `len` bytes.
    pub(crate) fn check_new_file(self, path: &Path, asked: u64, len: u64) -> Result<(), Error> {
        let given = self.given(len);
        if asked <= given {
            return Ok(());
        }
        let what = format!(
            "it makes a file of {asked} bytes of {len}; the bound is {given}, {TIMES} times the length and {} more; {RAISE}",
            self.beyond
        );
        Err(over(path, what))
    }

    /// Refuses a piece of an index that is read as a whole and is longer than `usual`, unless the caller raised the
    /// bound.
    pub(crate) fn check_piece(self, path: &Path, piece: &str, len: u64, usual: u64) -> Result<(), Error> {
        let most = usual.max(self.beyond);
        if len <= most {
            return Ok(());
        }
        Err(over(
            path,
            format!("its {piece} has {len} bytes, and the bound is {most}; {RAISE}"),
        ))
    }
}

/// Refuses tensors that together take far more bytes, in memory or in a new file, than the files that they lie in.
///
/// # Errors
/// [`Error::Limit`] for such tensors; [`Error::Io`] if the length of a file cannot be read.
pub(crate) fn check_tensors<'t>(
    source: &dyn Source,
    tensors: impl IntoIterator<Item = &'t StoredTensor>,
) -> Result<(), Error> {
    let (mut asked, mut len) = (0u64, 0u64);
    let (mut files, mut framed) = (BTreeSet::new(), BTreeSet::new());
    for tensor in tensors {
        asked = asked.saturating_add(tensor.info.byte_len().map_or(u64::MAX, |len| len as u64));
        for part in &tensor.parts {
            let is_new = match part.check {
                // The place gives the file with the archive and its length.
                Check::Framed => framed
                    .insert((part.place.file, part.place.start))
                    .then_some(part.place.len),
                _ if files.insert(part.place.file) => {
                    let (file, path) = source.file(part.place.file);
                    Some(file.len().map_err(Error::io("look at", path))?)
                }
                _ => None,
            };
            len = len.saturating_add(is_new.unwrap_or_default());
        }
    }
    let path = Path::new(&source.index().origin);
    source.limit().check_tensors(path, asked, len)
}

/// Advice of an error that names the option.
pub(super) const RAISE: &str = "if you trust the file, raise the bound with Fabric::builder().read_limit(bytes)";

fn over(path: &Path, what: String) -> Error {
    Error::Limit {
        path: path.to_path_buf(),
        what,
    }
}

/// The memory that a file may still take.
#[derive(Debug)]
pub(crate) struct Budget {
    given: u64,
    left: u64,
}

impl Budget {
    /// Counts memory before it is allocated.
    ///
    /// # Errors
    /// If the file exceeds its bound, or the system does not have the memory.
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), OverLimit> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                pages::count(bytes).map_err(|_| OverLimit::NoMemory)
            }
            None => Err(OverLimit::Memory(self.given)),
        }
    }

    /// Spends the bytes of `count` items of `each` bytes.
    ///
    /// # Errors
    /// As [`spend`](Self::spend).
    pub(crate) fn spend_each(&mut self, count: usize, each: usize) -> Result<(), OverLimit> {
        self.spend(count.saturating_mul(each))
    }
}

/// The bound that an index exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OverLimit {
    #[error("its index takes more memory than the bound of {0} bytes for an index of its length; {RAISE}")]
    Memory(u64),
    #[error("its index refers to the same objects again and again, which multiplies them; {RAISE}")]
    Again,
    #[error("the system has no memory for its index")]
    NoMemory,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_to_the_last_byte_and_no_further() {
        let mut budget = ReadLimit::new(100).budget(10);
        assert_eq!(budget.spend(80), Ok(()));
        assert_eq!(budget.spend_each(10, 10), Ok(()));
        assert_eq!(budget.spend(1), Err(OverLimit::Memory(180)));
        assert_eq!(budget.spend_each(usize::MAX, 2), Err(OverLimit::Memory(180)));
        assert_eq!(budget.spend(0), Ok(()));
    }

    #[test]
    fn other_bounds_grow_with_the_one_that_was_chosen() {
        assert_eq!(ReadLimit::default().scaled(10_000), 10_000);
        assert_eq!(ReadLimit::new(4 * DEFAULT).scaled(10_000), 40_000);
        assert_eq!(ReadLimit::default().share(1, 4).given(0), DEFAULT / 4);
        assert_eq!(ReadLimit::default().share(0, 0).given(0), LEAST);
        assert_eq!(ReadLimit::new(u64::MAX).scaled(usize::MAX), usize::MAX);
    }
}
