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
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm_set_epi64x, _mm512_broadcast_i32x4, _mm512_clmulepi64_epi128,
    _mm512_loadu_si512, _mm512_setzero_si512, _mm512_storeu_si512, _mm512_stream_si512, _mm512_ternarylogic_epi64,
    _mm512_zextsi128_si512,
};
use std::mem::MaybeUninit;

use self::polynomial::Polynomial;
use super::{Crc, LINE, Stores};

/// The places of the source.
const STREAMS: usize = 4;

/// The lines of one place: so many that all of them are a mebibyte, if that begins within a line. The longer, the better.
const LONG: usize = ((1 << 20) / LINE - 1) / STREAMS;

/// The same for what is left, and for what is small.
const SHORT: usize = 64;

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

/// Copies as much as it can, from the start. Says how much that was, and gives bytes to go on with, with a register of 0, where the
/// register was this one before. `None` if it is nothing, or if the processor cannot.
#[expect(unsafe_code, reason = "what only some processors have may be called only there")]
pub(super) fn copy(crc: Crc, register: u64, from: &[u8], into: &mut [MaybeUninit<u8>]) -> Option<(usize, [u8; LINE])> {
    let (from, _) = from.as_chunks::<LINE>();
    let (into, _) = into.as_chunks_mut::<LINE>();
    if from.len().min(into.len()) < STREAMS * SHORT || !into.as_ptr().addr().is_multiple_of(LINE) || !is_possible() {
        return None;
    }
    let _stores = Stores;
    // SAFETY: this processor has what it takes.
    let (copied, folded) = unsafe { copy_lines(Keys::of(crc), register, from, into) };
    Some((copied * LINE, folded))
}

fn is_possible() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("vpclmulqdq")
}

/// How many lines were copied, and the sum.
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn copy_lines(
    keys: &Keys,
    register: u64,
    from: &[[u8; LINE]],
    into: &mut [[MaybeUninit<u8>; LINE]],
) -> (usize, [u8; LINE]) {
    let line = in_register(keys.line);
    let begin = keys.polynomial.product(register, keys.back);
    let begin = keys.polynomial.widened(begin).cast_signed();
    let sum = _mm512_zextsi128_si512(_mm_set_epi64x(0, begin));
    let (long, sum) = copy_shares::<LONG>(sum, (line, in_register(keys.long)), from, into);
    let (from, into) = (&from[long..], &mut into[long..]);
    let (short, sum) = copy_shares::<SHORT>(sum, (line, in_register(keys.short)), from, into);
    (long + short, to_bytes(sum))
}

/// Copies shares for all streams, for as long as there are enough of them.
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn copy_shares<const SHARE: usize>(
    mut sum: __m512i,
    (line, share): (__m512i, __m512i),
    from: &[[u8; LINE]],
    into: &mut [[MaybeUninit<u8>; LINE]],
) -> (usize, __m512i) {
    let shares = from.as_chunks::<SHARE>().0.as_chunks::<STREAMS>().0;
    let shares_into = into.as_chunks_mut::<SHARE>().0.as_chunks_mut::<STREAMS>().0;
    let copied = shares.len().min(shares_into.len());
    for (from, into) in shares.iter().zip(shares_into) {
        let mut sums = [_mm512_setzero_si512(); STREAMS];
        sums[0] = sum;
        for at in 0..SHARE {
            for stream in 0..STREAMS {
                fetch(&from[stream][at]);
                let bytes = load(&from[stream][at]);
                store(bytes, &mut into[stream][at]);
                sums[stream] = fold(sums[stream], line, bytes);
            }
        }
        let [first, rest @ ..] = sums;
        sum = rest.into_iter().fold(first, |before, sum| fold(before, share, sum));
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

/// Has a line fetched that comes soon.
#[expect(unsafe_code, reason = "the processor does not look ahead at the end of a page")]
#[inline]
fn fetch(line: &[u8; LINE]) {
    // SAFETY: a prefetch is advice, wherever it points.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(AHEAD * LINE).cast()) };
}

#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "there is no safe load of 512 bits")]
#[inline]
fn load(line: &[u8; LINE]) -> __m512i {
    // SAFETY: the line is as wide as what is loaded, which needs no alignment.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "streaming stores")]
#[inline]
fn store(bytes: __m512i, line: &mut [MaybeUninit<u8>; LINE]) {
    debug_assert!(line.as_ptr().addr().is_multiple_of(LINE));
    // SAFETY: the line is as wide as what is stored, and aligned: `copy` looks at where the first one begins. Nobody else has
    // it until the fence of `Stores`.
    unsafe { _mm512_stream_si512(line.as_mut_ptr().cast(), bytes) }
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
    use super::super::tests::in_blank;
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
        let short = STREAMS * SHORT * LINE;
        let long = STREAMS * LONG * LINE;
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
                    let mut into = vec![0; len + LINE];
                    let line = into.as_ptr().align_offset(LINE);
                    let into = &mut into[line..line + len];
                    let copied = in_blank(into, |into| copy(crc, register, from, into));
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

    #[test]
    fn what_does_not_begin_with_a_line_is_left() {
        let mut into = vec![0; 1 << 20];
        let line = into.as_ptr().align_offset(LINE);
        let copied = in_blank(&mut into[line + 1..], |into| {
            copy(Crc::Crc64Nvme, 0, &vec![0; 1 << 18], into)
        });
        assert!(copied.is_none());
    }
}
