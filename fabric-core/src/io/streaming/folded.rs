//! A copy and a CRC in one loop, where the processor multiplies without carry in registers of 512 bits.
//!
//! The CRC is folded, as in Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel,
//! 2009): of bytes that lie `d` bits apart, the earlier ones are multiplied by x^d modulo the polynomial, and added to the later
//! ones, which changes the sum of all not at all. So a copy is left with one line that has the sum of everything before.
//!
//! It goes through four places of the source at a time. A processor fetches ahead of each of them by itself, and of four
//! further in all than of one, which is what such a copy waits for.

mod polynomial;

use std::arch::x86_64::{
    __m512i, _mm_set_epi64x, _mm512_broadcast_i32x4, _mm512_clmulepi64_epi128, _mm512_setzero_si512,
    _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_zextsi128_si512,
};

use self::polynomial::Polynomial;
use super::line::{Line, Stores, fetch, load};
use super::{Crc, LINE};
use crate::io::lent::{Lent, LentArray};

/// The places of the source.
const STREAMS: usize = 4;

/// The lines of one place: so many that all of them are a mebibyte, if that begins within a line. The longer, the better.
const LONG: usize = ((1 << 20) / LINE - 1) / STREAMS;

/// The same for what is left, and for what is small.
const SHORT: usize = 64;

/// What all streams take at a time, in bytes.
const LONG_BYTES: usize = STREAMS * LONG * LINE;
const SHORT_BYTES: usize = STREAMS * SHORT * LINE;

/// The lines from what is copied to what is fetched.
const AHEAD: usize = 32;

/// What moves sums on, for one CRC.
struct Keys {
    polynomial: Polynomial,
    line: Key,
    long: Key,
    short: Key,
    /// Back by a line, from the first 64 bits to where a register is added.
    back: u64,
}

/// For the first and the second half of 128 bits.
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

/// A product without carry of two reflected halves lies one bit off: it has a power of x too many.
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

/// Copies as much as it can, from the start. Says how many lines that was, and gives bytes to go on with, with a register of 0,
/// where the register was this one before. `None` if it is nothing, or if the processor cannot.
#[expect(unsafe_code, reason = "what only some processors have may be called only there")]
pub(super) fn copy(crc: Crc, register: u64, from: Lent<'_>, into: &mut [Line]) -> Option<(usize, [u8; LINE])> {
    if (from.len() / LINE).min(into.len()) < STREAMS * SHORT || !is_possible() {
        return None;
    }
    let _stores = Stores;
    // SAFETY: this processor has what it takes.
    Some(unsafe { copy_lines(Keys::of(crc), register, from, into) })
}

fn is_possible() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("vpclmulqdq")
}

/// How many lines were copied, and the sum.
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

/// Copies shares for all streams, for as long as there are enough of them.
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
                // The processor does not look ahead at the end of a page.
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

/// `before`, moved on, and what is there.
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
#[expect(unsafe_code, reason = "there is no safe store of 512 bits")]
fn to_bytes(sum: __m512i) -> [u8; LINE] {
    let mut bytes = [0; LINE];
    // SAFETY: the bytes are as many as are stored, which needs no alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), sum) }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The register of the CRC after these bytes, bit by bit.
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
