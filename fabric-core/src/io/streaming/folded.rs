//! Copies bytes and folds their CRC in one loop, on processors with AVX-512 and VPCLMULQDQ.
//!
//! The CRC is folded, as in Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction"
//! (Intel, 2009): of two pieces `d` bits apart, the earlier one is multiplied by x^d modulo the polynomial and added to
//! the later one, which leaves the CRC of the whole unchanged. At the end of a copy, one line holds the sum of
//! everything before it.
//!
//! The loop reads four streams of the source at a time. A processor prefetches each stream, and prefetches more bytes
//! of four streams than of one. Such a copy is limited by this prefetching.

use std::arch::x86_64::{
    __m512i, _mm_set_epi64x, _mm512_broadcast_i32x4, _mm512_clmulepi64_epi128, _mm512_setzero_si512,
    _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_zextsi128_si512,
};

use super::line::{Line, Stores, fetch, load};
use super::{Crc, LINE};
use crate::io::lent::{Lent, LentArray};
use crate::io::polynomial::Polynomial;

/// The number of streams.
const STREAMS: usize = 4;

/// The lines of one stream in a long round: four streams take just under 1 MiB, so that they fit into a mebibyte that
/// begins within a line. Longer streams are faster.
const LONG: usize = ((1 << 20) / LINE - 1) / STREAMS;

/// The lines of one stream in a short round, for the rest of a copy and for small copies.
const SHORT: usize = 64;

/// The bytes of all streams in a long round.
const LONG_BYTES: usize = STREAMS * LONG * LINE;
const SHORT_BYTES: usize = STREAMS * SHORT * LINE;

/// The distance of the prefetch in lines.
const AHEAD: usize = 32;

/// The multipliers that move a sum by a line or by a stream, for one CRC.
struct Keys {
    polynomial: Polynomial,
    line: Key,
    long: Key,
    short: Key,
    /// The multiplier that moves a register back by a line, to the first 64 bits.
    back: u64,
}

/// The multipliers of the first and the second half of 128 bits.
type Key = [u64; 2];

static CRC64_NVME: Keys = Keys::new(Polynomial::CRC64_NVME);
static CRC32_ISO_HDLC: Keys = Keys::new(Polynomial::CRC32_ISO_HDLC);

impl Keys {
    const fn new(polynomial: Polynomial) -> Self {
        Self {
            line: key(&polynomial, LINE),
            long: key(&polynomial, LONG * LINE),
            short: key(&polynomial, SHORT * LINE),
            back: polynomial.power(polynomial.narrower() - bits(LINE)),
            polynomial,
        }
    }

    fn of(crc: Crc) -> &'static Self {
        match crc {
            Crc::Crc64Nvme => &CRC64_NVME,
            Crc::Crc32IsoHdlc => &CRC32_ISO_HDLC,
        }
    }
}

/// The multipliers that move a sum by `bytes`. A carry-less product of two reflected halves is off by one power of x,
/// which the exponents take into account.
const fn key(polynomial: &Polynomial, bytes: usize) -> Key {
    let by = bits(bytes);
    [
        polynomial.widened(polynomial.power(by + 63)),
        polynomial.widened(polynomial.power(by - 1)),
    ]
}

#[allow(clippy::cast_possible_wrap, reason = "the bytes are few")]
const fn bits(bytes: usize) -> i64 {
    8 * bytes as i64
}

/// Copies as many lines as possible from the start, and returns their number, with one line of bytes that has, with a
/// register of 0, the CRC of all bytes so far. `register` is the register before the copy. `None` if there are too few
/// bytes, or if the processor lacks the instructions.
#[expect(unsafe_code, reason = "the callee needs instructions that `is_possible` finds")]
pub(super) fn copy(crc: Crc, register: u64, from: Lent<'_>, into: &mut [Line]) -> Option<(usize, [u8; LINE])> {
    if (from.len() / LINE).min(into.len()) < STREAMS * SHORT || !is_possible() {
        return None;
    }
    let _stores = Stores;
    // SAFETY: this processor has AVX-512 and VPCLMULQDQ.
    Some(unsafe { copy_lines(Keys::of(crc), register, from, into) })
}

fn is_possible() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("vpclmulqdq")
}

/// Copies lines, and returns their number and the sum.
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn copy_lines(keys: &Keys, register: u64, from: Lent<'_>, into: &mut [Line]) -> (usize, [u8; LINE]) {
    let line = in_register(keys.line);
    let begin = keys.polynomial.product(register, keys.back);
    let begin = keys.polynomial.widened(begin).cast_signed();
    let sum = _mm512_zextsi128_si512(_mm_set_epi64x(0, begin));
    let (long, sum) = copy_shares::<LONG, LONG_BYTES>(sum, (line, in_register(keys.long)), from, into);
    let (_, from) = from.split_at(long * LINE);
    let into = &mut into[long..];
    let (short, sum) = copy_shares::<SHORT, SHORT_BYTES>(sum, (line, in_register(keys.short)), from, into);
    (long + short, to_bytes(sum))
}

/// Copies rounds of `SHARE` lines for each stream while enough lines remain.
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn copy_shares<const SHARE: usize, const BYTES: usize>(
    mut sum: __m512i,
    (line, share): (__m512i, __m512i),
    mut from: Lent<'_>,
    into: &mut [Line],
) -> (usize, __m512i) {
    const { assert!(BYTES == STREAMS * SHARE * LINE) };
    let shares = into.as_chunks_mut::<SHARE>().0.as_chunks_mut::<STREAMS>().0;
    let mut copied = 0;
    for into in shares {
        let Some((all, rest)) = from.split_array::<BYTES>() else {
            break;
        };
        let mut sums = [_mm512_setzero_si512(); STREAMS];
        sums[0] = sum;
        for at in 0..SHARE {
            for (stream, into) in into.iter_mut().enumerate() {
                let there: LentArray<'_, LINE> = all.part((stream * SHARE + at) * LINE);
                // The processor's own prefetch stops at the end of a page.
                fetch(there.as_ptr().cast::<u8>().wrapping_add(AHEAD * LINE));
                let bytes = load(there);
                into[at].stream(bytes);
                sums[stream] = fold(sums[stream], line, bytes);
            }
        }
        let [first, rest_of_sums @ ..] = sums;
        sum = rest_of_sums
            .into_iter()
            .fold(first, |before, sum| fold(before, share, sum));
        (from, copied) = (rest, copied + 1);
    }
    (copied * STREAMS * SHARE, sum)
}

/// `before`, moved by `key`, plus `there`.
#[target_feature(enable = "avx512f,vpclmulqdq")]
#[inline]
fn fold(before: __m512i, key: __m512i, there: __m512i) -> __m512i {
    const XOR: i32 = 0b1001_0110;
    let first = _mm512_clmulepi64_epi128::<0x00>(before, key);
    let second = _mm512_clmulepi64_epi128::<0x11>(before, key);
    _mm512_ternarylogic_epi64::<XOR>(first, second, there)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn in_register([first, second]: Key) -> __m512i {
    _mm512_broadcast_i32x4(_mm_set_epi64x(second.cast_signed(), first.cast_signed()))
}

#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "the standard library has no safe store of 512 bits")]
fn to_bytes(sum: __m512i) -> [u8; LINE] {
    let mut bytes = [0; LINE];
    // SAFETY: the array has the length of the register, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), sum) }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The register of the CRC after these bytes, computed bit by bit.
    fn after(crc: Crc, register: u64, bytes: &[u8]) -> u64 {
        let polynomial = &Keys::of(crc).polynomial;
        bytes.iter().fold(register, |register, byte| {
            (0..8).fold(register ^ u64::from(*byte), |register, _| polynomial.times_x(register))
        })
    }

    #[test]
    fn what_is_folded_has_the_sum_of_what_was_copied() {
        if !is_possible() {
            return;
        }
        let mebibyte: Vec<u8> = (0..1u32 << 20)
            .map(|at| (at.wrapping_mul(at) % 251).to_le_bytes()[0])
            .collect();
        let (short, long) = (SHORT_BYTES, LONG_BYTES);
        for crc in [Crc::Crc64Nvme, Crc::Crc32IsoHdlc] {
            for (len, whole) in [
                (short - 1, 0),
                (short, short),
                (3 * short - 1, 2 * short),
                (long - 1, long / short * short),
                (long, long),
                (1 << 20, long),
            ] {
                for (skip, register) in [(0, 0), (1, 0xdead_beef), (17, 0xffff_ffff)] {
                    let from = &mebibyte[skip.min((1 << 20) - len)..][..len];
                    let mut memory = vec![0; len + LINE];
                    let (head, lines, _) = Line::divide(&mut memory);
                    let (head, lines) = (head.len(), &mut lines[..len / LINE]);
                    let copied = copy(crc, register, from.into(), lines).map(|(copied, sum)| (copied * LINE, sum));
                    let into = &memory[head..];
                    assert_eq!(copied.map_or(0, |(copied, _)| copied), whole, "of {len} bytes");
                    let Some((copied, folded)) = copied else { continue };
                    assert_eq!(
                        after(crc, 0, &folded),
                        after(crc, register, &from[..copied]),
                        "{len} bytes, {crc:?}"
                    );
                    assert!(into[..copied] == from[..copied]);
                    assert!(into[copied..].iter().all(|byte| *byte == 0), "nothing else is written");
                }
            }
        }
    }
}
