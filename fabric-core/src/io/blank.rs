//! Memory that is about to be written, and may hold nothing yet.
//!
//! To clear the memory of a new tensor before it is filled is a second pass over it, by one thread. Without that it must be
//! certain that every byte is written before anybody reads one: so pieces of such memory are given out once, each is written
//! whole or not at all, and what was written is counted.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A piece of memory to write, once and whole.
pub(crate) struct Blank<'m> {
    bytes: &'m mut [MaybeUninit<u8>],
    /// How many bytes of the memory that this is a piece of hold nothing yet. `None` if all of it holds something.
    left: Option<&'m AtomicUsize>,
}

/// Has new memory written. Whether all of it was, so that it can be read from now on.
pub(crate) fn write_new<E>(
    memory: &mut [MaybeUninit<u8>],
    write: impl FnOnce(Blank<'_>) -> Result<(), E>,
) -> Result<bool, E> {
    let left = AtomicUsize::new(memory.len());
    write(Blank {
        bytes: memory,
        left: Some(&left),
    })?;
    // No piece is counted twice: no two overlap, and to write one is to give it away.
    Ok(left.into_inner() == 0)
}

impl<'m> Blank<'m> {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// # Panics
    /// If it is shorter than that.
    pub(crate) fn split_at(self, len: usize) -> (Self, Self) {
        let left = self.left;
        let (before, behind) = self.bytes.split_at_mut(len);
        let piece = |bytes| Self { bytes, left };
        (piece(before), piece(behind))
    }

    /// Pieces of this length; the last one may be shorter.
    pub(crate) fn chunks(self, len: usize) -> impl Iterator<Item = Self> + Send {
        let left = self.left;
        self.bytes.chunks_mut(len).map(move |bytes| Self { bytes, left })
    }

    /// The bytes, to be written in any order. What held nothing holds zeros.
    #[expect(unsafe_code, reason = "a pass over new memory takes as long as the reading")]
    pub(crate) fn into_bytes(self) -> &'m mut [u8] {
        if self.left.is_some() {
            self.bytes.fill(MaybeUninit::new(0));
        }
        self.count();
        // SAFETY: every one of them holds something: all was new and is cleared, or nothing was new.
        unsafe { &mut *(std::ptr::from_mut(self.bytes) as *mut [u8]) }
    }

    /// Has `write` write all of it, and give back the same memory, which holds something then.
    ///
    /// # Panics
    /// If it gives back other memory.
    pub(crate) fn write(self, write: impl for<'b> FnOnce(&'b mut [MaybeUninit<u8>]) -> &'b mut [u8]) {
        let all = (self.bytes.as_ptr().cast::<u8>(), self.bytes.len());
        let written = write(&mut *self.bytes);
        assert_eq!((written.as_ptr(), written.len()), all, "all of the memory is written");
        self.count();
    }

    fn count(&self) {
        if let Some(left) = self.left {
            left.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        }
    }
}

impl<'m> From<&'m mut [u8]> for Blank<'m> {
    #[expect(unsafe_code, reason = "a pass over new memory takes as long as the reading")]
    fn from(bytes: &'m mut [u8]) -> Self {
        // SAFETY: a byte lies in memory as it does without the wrapper. Nobody can make these hold nothing: `into_bytes` does
        // not, and `write` gets them back as bytes that hold something.
        let bytes = unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) };
        Self { bytes, left: None }
    }
}

impl<'m> From<&'m mut Vec<u8>> for Blank<'m> {
    fn from(bytes: &'m mut Vec<u8>) -> Self {
        bytes.as_mut_slice().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight new bytes that `write` writes, if it does.
    fn written(write: impl FnOnce(Blank<'_>) -> Result<(), ()>) -> Result<Option<[u8; 8]>, ()> {
        let mut memory = [MaybeUninit::uninit(); 8];
        let all = write_new(&mut memory, write)?;
        // SAFETY: it says that all of them hold something.
        #[expect(unsafe_code, reason = "what is tested")]
        Ok(all.then(|| memory.map(|byte| unsafe { byte.assume_init() })))
    }

    fn copy(from: &[u8], into: Blank<'_>) {
        into.write(|into| crate::io::lent::Lent::from(from).read(into));
    }

    #[test]
    fn memory_is_written_when_all_of_its_pieces_are() {
        let done = written(|blank| {
            let (first, rest) = blank.split_at(3);
            for (piece, at) in rest.chunks(2).zip(0..) {
                copy(&[at, at][..piece.len()], piece);
            }
            copy(b"abc", first);
            Ok(())
        });
        assert_eq!(done, Ok(Some(*b"abc\x00\x00\x01\x01\x02")));
    }

    #[test]
    fn memory_is_not_written_when_a_piece_is_forgotten() {
        let done = written(|blank| {
            let (first, _) = blank.split_at(7);
            copy(b"abcdefg", first);
            Ok(())
        });
        assert_eq!(done, Ok(None));
        assert_eq!(written(|_| Ok(())), Ok(None));
        assert_eq!(written(|_| Err(())), Err(()));
    }

    #[test]
    fn what_is_asked_for_as_bytes_is_zero_if_it_was_new() {
        let done = written(|blank| {
            let bytes = blank.into_bytes();
            bytes[1] = 7;
            Ok(())
        });
        assert_eq!(done, Ok(Some([0, 7, 0, 0, 0, 0, 0, 0])));
        let mut held = vec![1, 2, 3];
        assert_eq!(Blank::from(&mut held).into_bytes(), [1, 2, 3]);
    }

    #[test]
    #[should_panic(expected = "all of the memory is written")]
    fn other_memory_does_not_count_as_written() {
        let mut memory = vec![0; 3];
        Blank::from(&mut memory).write(|_| &mut []);
    }
}
