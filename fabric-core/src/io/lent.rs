//! Lent bytes, which another process may change while they are read.
//!
//! A storage lends bytes from the page cache, and prevents changes to them as far as it can. If a byte changes
//! nevertheless, two reads of it differ, and a checksum of the first read does not cover the second. So each lent byte
//! is read once, into memory of this process, and the checksum covers the bytes that were read. A change is then found
//! as a checksum error.

use std::marker::PhantomData;
use std::ptr::read_volatile;

/// The widest word of one volatile load. `memcpy` may read a byte twice.
#[cfg(fabric_x86_64)]
type Word = std::arch::x86_64::__m128i;
#[cfg(not(fabric_x86_64))]
type Word = usize;

/// Lent bytes, which can only be copied as a whole, with one read of each byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent<'l> {
    first: *const u8,
    len: usize,
    owner: PhantomData<&'l [u8]>,
}

/// Exactly `N` lent bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LentArray<'l, const N: usize> {
    first: *const [u8; N],
    owner: PhantomData<&'l [u8]>,
}

impl<'l> From<&'l [u8]> for Lent<'l> {
    fn from(bytes: &'l [u8]) -> Self {
        Self {
            first: bytes.as_ptr(),
            len: bytes.len(),
            owner: PhantomData,
        }
    }
}

impl<'l> Lent<'l> {
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// # Panics
    /// If `len` exceeds the number of bytes.
    /// If there are fewer than that.
    pub(crate) fn split_at(self, len: usize) -> (Self, Self) {
        assert!(len <= self.len, "{len} bytes of {}", self.len);
        let piece = |first, len| Self { first, len, ..self };
        (
            piece(self.first, len),
            piece(self.first.wrapping_add(len), self.len - len),
        )
    }

    /// The bytes in pieces of `len` bytes; the last piece may be shorter.
    pub(crate) fn chunks(mut self, len: usize) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let (now, later) = self.split_at(len.min(self.len));
            self = later;
            (now.len > 0).then_some(now)
        })
    }

    /// The first `N` bytes and the rest; `None` if there are fewer than `N`.
    pub(crate) fn split_array<const N: usize>(self) -> Option<(LentArray<'l, N>, Self)> {
        let (now, later) = (self.len >= N).then(|| self.split_at(N))?;
        let first = now.first.cast();
        Some((
            LentArray {
                first,
                owner: self.owner,
            },
            later,
        ))
    }

    /// Copies the bytes to `into`, with one read of each byte.
    ///
    /// # Panics
    /// If the lengths differ.
    #[expect(unsafe_code, reason = "only a volatile load is certain to be one load")]
    #[expect(
        clippy::cast_ptr_alignment,
        reason = "the first word is aligned, and the others follow it"
    )]
    pub(crate) fn read(self, into: &mut [u8]) {
        assert_eq!(self.len, into.len(), "a copy of other length");
        let head = self.first.align_offset(align_of::<Word>()).min(self.len);
        let words = (self.len - head) / size_of::<Word>();
        let (first, target) = (self.first, into.as_mut_ptr());
        let byte = |at: usize| {
            // SAFETY: `at` is within both memories, which have the same length.
            unsafe { target.add(at).write(read_volatile(first.add(at))) }
        };
        (0..head).for_each(byte);
        for number in 0..words {
            let at = head + number * size_of::<Word>();
            // SAFETY: the word is within both memories, which have the same length. Its source is aligned, because
            // `head` bytes precede the first word and words follow each other.
            unsafe {
                let word = read_volatile(first.add(at).cast::<Word>());
                target.add(at).cast::<Word>().write_unaligned(word);
            }
        }
        (head + words * size_of::<Word>()..self.len).for_each(byte);
    }
}

impl<'l, const N: usize> LentArray<'l, N> {
    /// The `M` bytes from `at` on.
    ///
    /// # Panics
    /// If they exceed the array.
    #[inline]
    pub(crate) fn part<const M: usize>(self, at: usize) -> LentArray<'l, M> {
        assert!(at <= N && M <= N - at, "a part reaches out of the whole");
        LentArray {
            first: self.first.cast::<u8>().wrapping_add(at).cast(),
            owner: self.owner,
        }
    }

    /// The address of the bytes, for a loop that reads each byte once.
    #[inline]
    pub(crate) fn as_ptr(self) -> *const [u8; N] {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read_from_its_place_whatever_the_places_and_the_length() {
        let bytes: Vec<u8> = (0..=250).cycle().take(400).collect();
        for len in [0, 1, 7, 15, 16, 17, 63, 64, 65, 255, 300] {
            for (from, to) in [(0, 0), (1, 0), (0, 1), (7, 13), (16, 3)] {
                let mut into = [255; 400];
                Lent::from(&bytes[from..from + len]).read(&mut into[to..to + len]);
                let read = &into[to..to + len];
                assert_eq!(read, &bytes[from..from + len], "{len} bytes from {from} to {to}");
                let split = Lent::from(&bytes[..len]).chunks(16).map(Lent::len);
                assert_eq!(split.sum::<usize>(), len);
            }
        }
    }

    #[test]
    #[should_panic(expected = "a copy of other length")]
    fn another_length_is_a_mistake_of_ours() {
        Lent::from(&[1, 2][..]).read(&mut [0; 3]);
    }

    #[test]
    fn an_array_is_taken_from_the_front_and_no_longer_one_than_there_is() {
        let bytes = [1, 2, 3, 4, 5];
        let (array, rest) = Lent::from(&bytes[..]).split_array::<4>().unwrap();
        assert_eq!(rest.len(), 1);
        assert!(rest.split_array::<2>().is_none());
        assert_eq!(array.part::<2>(2).as_ptr().cast(), &raw const bytes[2]);
    }

    #[test]
    #[should_panic(expected = "a part reaches out of the whole")]
    fn no_part_reaches_out_of_the_whole() {
        let (array, _) = Lent::from(&[0; 8][..]).split_array::<8>().unwrap();
        array.part::<4>(5);
    }
}
