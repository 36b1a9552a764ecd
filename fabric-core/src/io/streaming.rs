//! Copies many bytes past the cache, and computes their checksum on the way.
//!
//! An ordinary copy reads each cache line of the destination before it overwrites it, and evicts the program's data
//! from the cache. Streaming stores avoid both, and with them a third of the memory traffic. On processors with AVX-512
//! and VPCLMULQDQ, [one loop](folded) copies and folds the CRC. On other processors, and for the bytes that this loop
//! leaves over, the copy works in pieces that fit in the first-level cache: it loads a piece, stores it to the
//! destination and to a buffer, and computes the checksum of the buffer.
//!
//! **Gain.** A training program that loads a checkpoint from the page cache into its state, after a crash or to return
//! to an earlier step: 1 GiB by two threads takes 48 ms in one loop and 66 ms in pieces; `pread` with a checksum takes
//! 110 ms. A save in the background copies the state by the same loops while the program trains. Without
//! `cfg(fabric_x86_64)`, the pieces are copied with safe loads and stores.
//!
//! Both loops read each byte of the source once: the checksum covers the stored bytes, even if the source changes
//! meanwhile.

#[cfg(fabric_x86_64)]
mod folded;
mod line;

use self::line::{Line, Stores};
#[cfg(fabric_x86_64)]
use self::line::{fetch, load, load_quarters};
use crate::io::lent::Lent;

pub(crate) use self::line::LINE;

/// The length of a piece in bytes.
const PIECE: usize = 8 << 10;

/// A checksum over the bytes of a copy.
pub(crate) trait Sum {
    /// False if the copy needs no checksum.
    const IS_WANTED: bool = true;

    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);

    /// The CRC that this checksum computes, and its register.
    fn register(&self) -> (Crc, u64);

    /// Replaces the state by a register of 0 and these bytes, which have the CRC of all bytes so far.
    fn restart(&mut self, folded: &[u8; LINE]);
}

/// The CRCs that the folded loop can compute.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Crc {
    Crc64Nvme,
    Crc32IsoHdlc,
}

/// No checksum.
pub(crate) struct Unsummed;

impl Sum for Unsummed {
    const IS_WANTED: bool = false;

    fn update(&mut self, _: &[u8]) {}

    fn register(&self) -> (Crc, u64) {
        (Crc::Crc64Nvme, 0)
    }

    fn restart(&mut self, _: &[u8; LINE]) {}
}

/// Copies `from` to `into`, and adds the bytes to `sum`. Fewer than 16 KiB are copied through the cache, where so few
/// bytes do no harm.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn copy<'l>(from: impl Into<Lent<'l>>, into: &mut [u8], sum: &mut impl Sum) {
    copy_whole(from.into(), into, sum, fold);
}

/// Copies all bytes: as many lines as possible by `fold`, the others in pieces.
fn copy_whole<S: Sum>(
    from: Lent<'_>,
    into: &mut [u8],
    sum: &mut S,
    fold: impl FnOnce(Lent<'_>, &mut [Line], &mut S) -> usize,
) {
    assert_eq!(from.len(), into.len(), "a copy of other length");
    if from.len() < 2 * PIECE {
        from.read(into);
        sum.update(into);
        return;
    }
    let (head, lines, tail) = Line::divide(into);
    let (from_head, from) = from.split_at(head.len());
    let (from_lines, from_tail) = from.split_at(lines.len() * LINE);
    from_head.read(head);
    sum.update(head);
    let folded = fold(from_lines, lines, sum);
    in_pieces(from_lines.split_at(folded * LINE).1, &mut lines[folded..], sum);
    from_tail.read(tail);
    sum.update(tail);
}

/// Copies as many lines as possible with the folded loop, and returns their number.
#[cfg(fabric_x86_64)]
fn fold(from: Lent<'_>, into: &mut [Line], sum: &mut impl Sum) -> usize {
    let (crc, register) = sum.register();
    let Some((copied, folded)) = folded::copy(crc, register, from, into) else {
        return 0;
    };
    sum.restart(&folded);
    copied
}

#[cfg(not(fabric_x86_64))]
fn fold(_: Lent<'_>, _: &mut [Line], _: &mut impl Sum) -> usize {
    0
}

/// Copies to lines in pieces. If the copy needs a checksum, each piece is also stored to a buffer, which the checksum
/// reads.
fn in_pieces<S: Sum>(from: Lent<'_>, into: &mut [Line], sum: &mut S) {
    let _stores = Stores;
    let mut kept = [const { Line::ZEROS }; PIECE / LINE];
    for (from, into) in from.chunks(PIECE).zip(into.chunks_mut(PIECE / LINE)) {
        let kept = &mut kept[..if S::IS_WANTED { into.len() } else { 0 }];
        sum.update(store(from, into, kept));
    }
}

/// Copies one piece to `into`, and its first lines also to `kept`, which it returns as bytes. Drop [`Stores`] before
/// reading `into`.
///
/// # Panics
/// If `from` and `into` differ in length, or `kept` is longer than `into`.
#[expect(unsafe_code, reason = "the checksum reads the kept lines without a second copy")]
fn store<'k>(from: Lent<'_>, into: &mut [Line], kept: &'k mut [Line]) -> &'k [u8] {
    assert!(
        from.len() == into.len() * LINE && kept.len() <= into.len(),
        "a piece of other length"
    );
    store_lines(from, into, kept);
    // SAFETY: a line consists of `LINE` initialized bytes.
    unsafe { std::slice::from_raw_parts(kept.as_ptr().cast(), kept.len() * LINE) }
}

#[cfg(fabric_x86_64)]
#[expect(
    unsafe_code,
    reason = "the callee needs instructions that `is_x86_feature_detected` finds"
)]
fn store_lines(from: Lent<'_>, into: &mut [Line], kept: &mut [Line]) {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: this processor has AVX-512.
        unsafe { store_whole(from, into, kept) };
    } else {
        store_quarters(from, into, kept);
    }
}

/// Copies each line with one load and one store, which takes a tenth less time than four of each.
#[cfg(fabric_x86_64)]
#[target_feature(enable = "avx512f")]
fn store_whole(mut from: Lent<'_>, into: &mut [Line], kept: &mut [Line]) {
    for (number, into) in into.iter_mut().enumerate() {
        let Some((line, rest)) = from.split_array::<LINE>() else {
            return;
        };
        fetch(line.as_ptr().cast::<u8>().wrapping_add(PIECE));
        let bytes = load(line);
        into.stream(bytes);
        if let Some(kept) = kept.get_mut(number) {
            kept.keep(bytes);
        }
        from = rest;
    }
}

/// Copies each line with four loads and four stores, which every x86-64 processor has.
#[cfg(fabric_x86_64)]
fn store_quarters(mut from: Lent<'_>, into: &mut [Line], kept: &mut [Line]) {
    for (number, into) in into.iter_mut().enumerate() {
        let Some((line, rest)) = from.split_array::<LINE>() else {
            return;
        };
        fetch(line.as_ptr().cast::<u8>().wrapping_add(PIECE));
        let bytes = load_quarters(line);
        into.stream_quarters(bytes);
        if let Some(kept) = kept.get_mut(number) {
            kept.keep_quarters(bytes);
        }
        from = rest;
    }
}

#[cfg(not(fabric_x86_64))]
fn store_lines(from: Lent<'_>, into: &mut [Line], kept: &mut [Line]) {
    Line::copy_all(from, into, kept);
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    /// Records all bytes in order.
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

    /// Copies in pieces only, as on a processor without the folded loop.
    fn copy_in_pieces(from: &[u8], into: &mut [u8], sum: &mut impl Sum) {
        copy_whole(from.into(), into, sum, |_, _, _| 0);
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

    const PLACES: [(usize, usize); 6] = [(0, 0), (1, 0), (0, 1), (16, 16), (63, 7), (7, 63)];

    /// Calls `copy` with sources and destinations of many lengths and alignments.
    fn copied(copy: impl Fn(&[u8], &mut [u8])) {
        let from: Vec<u8> = (0..=250).cycle().take(3 * PIECE + 200).collect();
        for len in LENGTHS {
            for (skip_from, skip_into) in PLACES {
                let from = &from[skip_from..skip_from + len];
                let mut into = vec![255; skip_into + len + 9];
                copy(from, &mut into[skip_into..skip_into + len]);
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
    fn every_byte_is_copied_whatever_the_places_and_the_length() {
        copied(|from, into| copy(from, into, &mut Unsummed));
        copied(|from, into| copy_in_pieces(from, into, &mut Unsummed));
    }

    #[test]
    fn every_byte_of_the_pieces_is_seen_once_and_in_order() {
        copied(|from, into| {
            let mut seen = Seen(Vec::new());
            copy_in_pieces(from, into, &mut seen);
            assert!(seen.0 == from, "{} bytes", from.len());
        });
    }

    /// Tests both functions, even if this processor uses only one of them.
    #[cfg(fabric_x86_64)]
    #[test]
    fn lines_are_copied_and_kept_by_quarters_as_well() {
        let from: Vec<u8> = (0..=250).cycle().take(PIECE).collect();
        let mut into = vec![0; PIECE + LINE];
        let head = into.as_ptr().align_offset(LINE);
        let mut kept = [const { Line::ZEROS }; 3];
        {
            let _stores = Stores;
            store_quarters(
                (&*from).into(),
                &mut Line::divide(&mut into).1[..PIECE / LINE],
                &mut kept,
            );
        }
        assert!(into[head..][..PIECE] == from);
        let mut again = vec![0; 3 * LINE + LINE];
        let head = again.as_ptr().align_offset(LINE);
        Line::divide(&mut again).1[..3].swap_with_slice(&mut kept);
        assert!(
            again[head..][..3 * LINE] == from[..3 * LINE],
            "what is kept is what was stored"
        );
    }

    #[test]
    #[should_panic(expected = "a copy of other length")]
    fn another_length_is_a_mistake_of_ours() {
        copy(&[0; 3][..], &mut [0; 4][..], &mut Unsummed);
    }

    /// Copies by `copy` while another thread changes the source. `copy` returns true if its checksum covers the stored
    /// bytes.
    pub(crate) fn copied_while_it_changes(copy: impl Fn(&[u8], &mut [u8]) -> bool) {
        // Atomic words, so that the other thread may write to them; the source begins at an unaligned byte.
        let words: Vec<AtomicU64> = (0..64 << 10).map(AtomicU64::new).collect();
        let done = AtomicBool::new(false);
        let mut copies = std::collections::HashSet::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    for word in words.iter().step_by(3) {
                        word.store(round, Ordering::Relaxed);
                    }
                }
            });
            // SAFETY: the words consist of this many bytes. Another thread changes them, which the test is for.
            #[expect(unsafe_code, reason = "the test changes the bytes under a shared borrow")]
            let from = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), words.len() * 8) };
            let mut into = vec![0; from.len()];
            for round in 0..50 {
                let (skip_from, skip_into) = PLACES[round % PLACES.len()];
                let len = from.len() - 63 - round * 8;
                let is_summed = copy(&from[skip_from..][..len], &mut into[skip_into..][..len]);
                assert!(is_summed, "round {round}");
                copies.insert(into.clone());
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(copies.len() > 1, "the source changed");
    }

    #[test]
    fn what_is_summed_by_pieces_is_what_is_stored_when_the_source_changes_meanwhile() {
        copied_while_it_changes(|from, into| {
            let mut seen = Seen(Vec::new());
            copy_in_pieces(from, into, &mut seen);
            seen.0 == into
        });
    }
}
