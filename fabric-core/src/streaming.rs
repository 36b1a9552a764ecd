//! A copy of many bytes that sums them up on the way, and leaves nothing in the cache.
//!
//! An ordinary copy fetches each line of the destination before it overwrites it, and pushes out of the cache what the
//! program needs. Streaming stores do neither, so that two thirds of the memory traffic are left. Where the processor can,
//! one loop does [all of it](folded). Elsewhere, and for what that loop leaves, they come in pieces that the first cache
//! holds: one is summed while it is fresh, then copied, and the next one fetched meanwhile.

#[cfg(target_arch = "x86_64")]
mod folded;

use std::mem::MaybeUninit;

use crate::blank::{Blank, as_blank};

/// The bytes that are looked at, and then copied, at a time.
const PIECE: usize = 8 << 10;

/// What one store of the processor's must not straddle.
pub(crate) const LINE: usize = 64;

/// What a copy tells of the bytes that it copies.
pub(crate) trait Sum {
    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);

    /// The CRC that it is, and the register of it.
    fn register(&self) -> (Crc, u64);

    /// Begins again, with a register of 0 and with these bytes, which stand for all that there was.
    fn restart(&mut self, folded: &[u8; LINE]);
}

/// The CRCs that can be folded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Crc {
    Crc64Nvme,
    Crc32IsoHdlc,
}

/// Nobody wants to know.
pub(crate) struct Unsummed;

impl Sum for Unsummed {
    fn update(&mut self, _: &[u8]) {}

    fn register(&self) -> (Crc, u64) {
        (Crc::Crc64Nvme, 0)
    }

    fn restart(&mut self, _: &[u8; LINE]) {}
}

/// Copies `from` to `into`, which is as long, and adds it to `sum`. What is short stays in the cache: it does no harm there.
///
/// # Panics
/// If the lengths differ.
#[expect(unsafe_code, reason = "a pass over new memory takes as long as the copy")]
pub(crate) fn copy<'m>(from: &[u8], into: impl Into<Blank<'m>>, sum: &mut impl Sum) {
    let into = into.into();
    assert_eq!(from.len(), into.len(), "a copy of other length");
    // SAFETY: as many bytes are copied as there are.
    unsafe { into.write(|into| copy_whole(from, into, sum)) }
}

/// Puts something into every byte of `into`.
fn copy_whole(from: &[u8], into: &mut [MaybeUninit<u8>], sum: &mut impl Sum) {
    if from.len() < 2 * PIECE {
        sum.update(from);
        return into.copy_from_slice(as_blank(from));
    }
    let head = into.as_ptr().align_offset(LINE).min(into.len());
    let (from_head, from) = from.split_at(head);
    let (into_head, into) = into.split_at_mut(head);
    sum.update(from_head);
    into_head.copy_from_slice(as_blank(from_head));
    let folded = fold(from, into, sum);
    in_pieces(&from[folded..], &mut into[folded..], sum);
}

/// Copies to where a line begins, by pieces.
fn in_pieces(from: &[u8], into: &mut [MaybeUninit<u8>], sum: &mut impl Sum) {
    let _stores = Stores;
    for (from, into) in from.chunks(PIECE).zip(into.chunks_mut(PIECE)) {
        sum.update(from);
        store(from, into);
    }
}

/// Copies as much as can be copied and summed in one loop, and says how much that was.
#[cfg(target_arch = "x86_64")]
fn fold(from: &[u8], into: &mut [MaybeUninit<u8>], sum: &mut impl Sum) -> usize {
    let (crc, register) = sum.register();
    let Some((copied, folded)) = folded::copy(crc, register, from, into) else {
        return 0;
    };
    sum.restart(&folded);
    copied
}

#[cfg(not(target_arch = "x86_64"))]
fn fold(_: &[u8], _: &mut [MaybeUninit<u8>], _: &mut impl Sum) -> usize {
    0
}

/// Streaming stores on their way. Dropped, all are where everybody sees them.
struct Stores;

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the fence that streaming stores need")]
impl Drop for Stores {
    fn drop(&mut self) {
        // SAFETY: every x86-64 has SSE.
        unsafe { std::arch::x86_64::_mm_sfence() }
    }
}

/// Copies one piece to where a line begins, and has the one behind it fetched. [`Stores`] must be dropped before anybody
/// looks.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "what only some processors have may be called only there")]
fn store(from: &[u8], into: &mut [MaybeUninit<u8>]) {
    let (from_lines, from_rest) = from.as_chunks::<LINE>();
    let (into_lines, into_rest) = into.as_chunks_mut::<LINE>();
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: this processor has AVX-512.
        unsafe { store_whole(from_lines, into_lines) };
    } else {
        store_quarters(from_lines, into_lines);
    }
    into_rest.copy_from_slice(as_blank(from_rest));
}

/// Line by line, each with one store: a tenth less time than with four.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "streaming stores")]
fn store_whole(from: &[[u8; LINE]], into: &mut [[MaybeUninit<u8>; LINE]]) {
    use std::arch::x86_64::{_mm512_loadu_si512, _mm512_stream_si512};

    for (from, into) in from.iter().zip(into) {
        fetch_ahead(from);
        debug_assert!(into.as_ptr().addr().is_multiple_of(LINE));
        // SAFETY: both are as wide as what is loaded and stored. A load needs no alignment. A store does: `copy` begins where a
        // line does, and a piece is so many lines. Nobody else has `into` until the fence of `Stores`.
        unsafe { _mm512_stream_si512(into.as_mut_ptr().cast(), _mm512_loadu_si512(from.as_ptr().cast())) };
    }
}

/// The same with what every x86-64 has.
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "a checked copy of a mapped file takes a third longer without streaming stores"
)]
fn store_quarters(from: &[[u8; LINE]], into: &mut [[MaybeUninit<u8>; LINE]]) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};

    const WIDTH: usize = size_of::<__m128i>();
    for (from, into) in from.iter().zip(into) {
        fetch_ahead(from);
        let (from, _) = from.as_chunks::<WIDTH>();
        let (into, _) = into.as_chunks_mut::<WIDTH>();
        for (from, into) in from.iter().zip(into) {
            debug_assert!(into.as_ptr().addr().is_multiple_of(WIDTH));
            // SAFETY: as for whole lines.
            unsafe { _mm_stream_si128(into.as_mut_ptr().cast(), _mm_loadu_si128(from.as_ptr().cast())) };
        }
    }
}

/// Has the line fetched that is one piece behind.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the processor does not look that far ahead by itself")]
#[inline]
fn fetch_ahead(line: &[u8; LINE]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

    // SAFETY: a prefetch is advice, wherever it points.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(PIECE).cast()) };
}

#[cfg(not(target_arch = "x86_64"))]
fn store(from: &[u8], into: &mut [MaybeUninit<u8>]) {
    into.copy_from_slice(as_blank(from));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All bytes, in order.
    struct Seen(Vec<u8>);

    impl Sum for Seen {
        fn update(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }

        fn register(&self) -> (Crc, u64) {
            unreachable!("pieces have none")
        }

        fn restart(&mut self, _: &[u8; LINE]) {
            unreachable!("pieces are not folded")
        }
    }

    /// What the parts of a copy write to.
    #[expect(unsafe_code, reason = "what is tested")]
    pub(super) fn in_blank<T>(bytes: &mut [u8], write: impl FnOnce(&mut [MaybeUninit<u8>]) -> T) -> T {
        let mut outcome = None;
        // SAFETY: the bytes hold something already.
        unsafe { Blank::from(bytes).write(|into| outcome = Some(write(into))) };
        outcome.unwrap()
    }

    const LENGTHS: [usize; 12] = [
        0,
        1,
        15,
        63,
        64,
        65,
        127,
        PIECE,
        2 * PIECE - 1,
        2 * PIECE,
        2 * PIECE + 63,
        3 * PIECE + 1,
    ];

    #[test]
    fn every_byte_is_copied_whatever_the_places_and_the_length() {
        let from: Vec<u8> = (0..=250).cycle().take(3 * PIECE + 200).collect();
        for len in LENGTHS {
            for (skip_from, skip_into) in [(0, 0), (1, 0), (0, 1), (16, 16), (63, 7), (7, 63)] {
                let from = &from[skip_from..skip_from + len];
                let mut into = vec![255; skip_into + len + 9];
                copy(from, &mut into[skip_into..skip_into + len], &mut Unsummed);
                assert!(
                    into[skip_into..skip_into + len] == *from,
                    "{len} bytes from {skip_from} to {skip_into}"
                );
                let around = into[..skip_into].iter().chain(&into[skip_into + len..]);
                assert!(around.copied().all(|byte| byte == 255), "nothing else is written");
            }
        }
    }

    #[test]
    fn every_byte_of_the_pieces_is_seen_once_and_in_order() {
        let from: Vec<u8> = (0..=250).cycle().take(3 * PIECE + 200).collect();
        for len in LENGTHS {
            for skip in [0, 1, 63] {
                let from = &from[skip..skip + len];
                let (mut into, mut seen) = (vec![255; LINE + len + 9], Seen(Vec::new()));
                let line = into.as_ptr().align_offset(LINE);
                in_blank(&mut into[line..line + len], |into| in_pieces(from, into, &mut seen));
                assert!(seen.0 == from, "{len} bytes from {skip}");
                assert!(into[line..line + len] == *from, "{len} bytes from {skip}");
                assert!(
                    into[line + len..].iter().all(|byte| *byte == 255),
                    "nothing else is written"
                );
            }
        }
    }

    /// Whichever of them this processor uses.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn lines_are_copied_by_quarters_as_well() {
        let from: Vec<u8> = (0..=250).cycle().take(PIECE + LINE).collect();
        let mut into = vec![0; from.len()];
        let skipped = into.as_ptr().align_offset(LINE);
        let (from, _) = from[..PIECE].as_chunks::<LINE>();
        in_blank(&mut into[skipped..][..PIECE], |into| {
            let _stores = Stores;
            store_quarters(from, into.as_chunks_mut().0);
        });
        assert!(into[skipped..][..PIECE] == *from.as_flattened());
    }

    #[test]
    #[should_panic(expected = "a copy of other length")]
    fn another_length_is_a_mistake_of_ours() {
        copy(&[0; 3], &mut [0; 4][..], &mut Unsummed);
    }
}
