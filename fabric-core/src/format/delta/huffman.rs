//! Huffman codes of bytes: each byte by itself, a frequent one in fewer bits.
//!
//! The bits of a code go from the lowest bit of the first byte to the highest bit of the last. Codes are canonical: they
//! follow from their lengths, in the order of the lengths and then of the bytes.

mod lengths;

pub(super) use self::lengths::{LONGEST, Lengths, bits, counts, lengths};
use self::lengths::{PLACES, share};

/// The bytes that are loaded and stored at a time.
const WORD: usize = size_of::<u64>();

/// The codes that an encoder writes, and a decoder looks up, between two accesses to memory: a word of 64 bits has at
/// least 57 that are not consumed.
const IN_A_WORD: usize = 5;

/// Calls `found` with each symbol, the first place of its code in a decoder's table, and the length of its code. Returns
/// `false` if the codes do not take every place once.
fn assign(lengths: &Lengths, mut found: impl FnMut(u8, usize, u8)) -> bool {
    let mut next = 0;
    for length in 1..=LONGEST {
        for (symbol, own) in (0..=u8::MAX).zip(lengths) {
            if usize::from(*own) == length {
                if next < PLACES {
                    found(symbol, next, *own);
                }
                next += share(*own);
            }
        }
    }
    next == PLACES
}

/// Reverses the lowest [`LONGEST`] bits: codes are numbered from their first bit, and stored from the lowest.
fn reversed(place: usize) -> u16 {
    let place = u16::try_from(place).unwrap_or_default();
    place.reverse_bits() >> (u16::BITS as usize - LONGEST)
}

/// Appends the codes of `symbols`, `bits` bits in all.
pub(super) fn encode(symbols: &[u8], lengths: &Lengths, bits: u64, out: &mut Vec<u8>) {
    let mut codes = [Code::default(); 256];
    assign(lengths, |symbol, place, length| {
        codes[usize::from(symbol)] = Code {
            bits: reversed(place),
            length,
        };
    });
    let start = out.len();
    let len = usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX);
    // A word is stored at a time, so the last one needs room.
    out.resize(start + len + WORD, 0);
    let mut writer = BitWriter {
        into: &mut out[start..],
        held: 0,
        count: 0,
    };
    let (fives, rest) = symbols.as_chunks::<IN_A_WORD>();
    for five in fives {
        writer.put(five, &codes);
    }
    writer.put(rest, &codes);
    out.truncate(start + len);
}

/// The code of a byte.
#[derive(Clone, Copy, Default)]
struct Code {
    bits: u16,
    length: u8,
}

/// Stores codes at the start of `into`.
struct BitWriter<'o> {
    into: &'o mut [u8],
    /// The bits that fill no byte yet, and their number.
    held: u64,
    count: u32,
}

impl BitWriter<'_> {
    /// Stores the codes of at most [`IN_A_WORD`] symbols.
    #[inline]
    fn put(&mut self, symbols: &[u8], codes: &[Code; 256]) {
        for symbol in symbols {
            let code = codes[usize::from(*symbol)];
            self.held |= u64::from(code.bits) << self.count;
            self.count += u32::from(code.length);
        }
        let into = std::mem::take(&mut self.into);
        into[..WORD].copy_from_slice(&self.held.to_le_bytes());
        let whole = self.count / 8;
        self.into = &mut into[whole as usize..];
        self.held >>= whole * 8;
        self.count %= 8;
    }
}

/// Fills `into` with the symbols of the codes in `bytes`. `None` if the codes are not those of so many symbols.
pub(super) fn decode(bytes: &[u8], lengths: &Lengths, into: &mut [u8]) -> Option<()> {
    let mut table = [0; PLACES];
    let is_code = assign(lengths, |symbol, place, length| {
        for number in place..place + share(length) {
            table[usize::from(reversed(number))] = u16::from_le_bytes([symbol, length]);
        }
    });
    if !is_code {
        return None;
    }
    let mut reader = BitReader { bytes, bit: 0 };
    let (fives, rest) = into.as_chunks_mut::<IN_A_WORD>();
    for five in fives {
        reader.get(five, &table);
    }
    reader.get(rest, &table);
    (reader.bit.div_ceil(8) == bytes.len()).then_some(())
}

/// Takes codes from `bytes`.
struct BitReader<'b> {
    bytes: &'b [u8],
    /// The next bit.
    bit: usize,
}

impl BitReader<'_> {
    /// Fills `into`, at most [`IN_A_WORD`] symbols, by a table with the symbol and the length of each code.
    #[inline]
    fn get(&mut self, into: &mut [u8], table: &[u16; PLACES]) {
        let mut word = word(self.bytes, self.bit / 8) >> (self.bit % 8);
        for symbol in into {
            #[allow(clippy::cast_possible_truncation, reason = "a place of the table")]
            let [found, length] = table[word as usize % PLACES].to_le_bytes();
            *symbol = found;
            word >>= length;
            self.bit += usize::from(length);
        }
    }
}

/// Eight bytes from `at`, with zeros behind the last.
fn word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(whole) => u64::from_le_bytes(*whole),
        None => {
            let mut padded = [0; WORD];
            padded[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(padded)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(symbols: &[u8]) -> (Vec<u8>, Lengths) {
        let counts = counts(symbols);
        let lengths = lengths(&counts);
        let mut out = Vec::new();
        encode(symbols, &lengths, bits(&counts, &lengths), &mut out);
        (out, lengths)
    }

    #[test]
    fn symbols_of_any_frequencies_come_back() {
        // Each symbol is twice as frequent as the one before, so that the tree is deeper than the longest code.
        let steep: Vec<u8> = (0..18u8).flat_map(|n| vec![n * 13; 1 << n]).collect();
        let even: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for symbols in [&steep[..], &even, &[7, 9], &[0, 0, 0, 255]] {
            let (out, lengths) = coded(symbols);
            let mut found = vec![0; symbols.len()];
            assert_eq!(decode(&out, &lengths, &mut found), Some(()));
            assert_eq!(found, symbols);
            assert!(lengths.iter().all(|length| usize::from(*length) <= LONGEST));
        }
    }

    #[test]
    fn codes_are_nearly_as_short_as_the_entropy() {
        // One symbol has half of all places, the next one a quarter, and so on: the entropy is 2 bits.
        let symbols: Vec<u8> = (1..=1u32 << 16).map(|n| n.trailing_zeros().to_le_bytes()[0]).collect();
        let (out, _) = coded(&symbols);
        assert!(
            out.len() < symbols.len() / 4 + symbols.len() / 1000,
            "{} bytes",
            out.len()
        );
    }

    #[test]
    fn codes_of_another_number_of_symbols_are_refused() {
        let symbols: Vec<u8> = (0..100).map(|n| n % 3).collect();
        let (out, lengths) = coded(&symbols);
        for len in [0, 50, 110, 10_000] {
            assert_eq!(decode(&out, &lengths, &mut vec![0; len]), None, "{len}");
        }
        assert_eq!(decode(&out[1..], &lengths, &mut [0; 100]), None);
    }

    #[test]
    fn lengths_that_are_no_code_are_refused() {
        let mut lengths = [0; 256];
        lengths[..3].fill(1);
        assert_eq!(decode(&[0; 4], &lengths, &mut [0; 32]), None, "three codes of one bit");
        let mut lengths = [0; 256];
        lengths[0] = 2;
        assert_eq!(
            decode(&[0xff; 4], &lengths, &mut [0; 16]),
            None,
            "a code that no symbol has"
        );
        assert_eq!(decode(&[], &[0; 256], &mut [0; 1]), None, "no symbol at all");
    }
}
