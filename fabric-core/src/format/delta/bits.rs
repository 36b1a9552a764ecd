//! Elements as integers: eight at a time, those that changed found by a mask without a branch for each.

/// The elements under one byte of the tops.
pub(super) const GROUP: usize = 64;

/// The elements under one mask.
pub(super) const MASKED: usize = 8;

/// The narrow value that stands for a wide one.
pub(super) const WIDE: u8 = u8::MAX;

/// An element as an integer.
pub(super) trait Bits: Copy + Default + PartialEq {
    /// Its width in bytes.
    const WIDTH: usize;

    /// Eight elements; zeros behind the last.
    fn eight(bytes: &[u8]) -> [Self; MASKED];

    /// Sets a byte to 1 for each element that differs, and the others to 0.
    fn differ(base: &[u8], new: &[u8], bytes: &mut [u8; GROUP]);

    /// The difference as a number without a sign.
    fn difference(self, base: Self) -> Self;

    /// The difference that [`difference`](Self::difference) gave, modulo the width.
    fn signed(self) -> Self;

    /// This number, or [`WIDE`] if it is not less.
    fn narrow(self) -> u8;

    /// The number in a byte.
    fn of(narrow: u8) -> Self;

    /// The byte of this number, 0 being the lowest.
    fn byte(self, number: usize) -> u8;

    /// This number with another byte, which was 0.
    fn with_byte(self, number: usize, byte: u8) -> Self;

    /// Adds the next of `differences` to each of at most eight elements that the mask has a bit for.
    fn add(bytes: &mut [u8], mask: u8, differences: &[Self; MASKED]);
}

macro_rules! bits {
    ($unsigned:ty, $signed:ty) => {
        impl Bits for $unsigned {
            const WIDTH: usize = size_of::<Self>();

            #[inline]
            fn eight(bytes: &[u8]) -> [Self; MASKED] {
                let (whole, _) = bytes.as_chunks::<{ size_of::<Self>() }>();
                match whole.first_chunk::<MASKED>() {
                    Some(eight) => eight.map(Self::from_le_bytes),
                    None => std::array::from_fn(|at| whole.get(at).map_or(0, |bytes| Self::from_le_bytes(*bytes))),
                }
            }

            #[inline]
            fn differ(base: &[u8], new: &[u8], bytes: &mut [u8; GROUP]) {
                let (base, _) = base.as_chunks::<{ size_of::<Self>() }>();
                let (new, _) = new.as_chunks::<{ size_of::<Self>() }>();
                for ((byte, base), new) in bytes.iter_mut().zip(base).zip(new) {
                    *byte = u8::from(Self::from_le_bytes(*base) != Self::from_le_bytes(*new));
                }
            }

            #[inline]
            fn difference(self, base: Self) -> Self {
                let difference = self.wrapping_sub(base).cast_signed();
                (difference << 1 ^ difference >> (<$signed>::BITS - 1)).cast_unsigned()
            }

            #[inline]
            fn signed(self) -> Self {
                self >> 1 ^ (self & 1).wrapping_neg()
            }

            #[inline]
            fn narrow(self) -> u8 {
                #[allow(clippy::cast_possible_truncation, reason = "no larger than a byte")]
                let narrow = self.min(Self::from(WIDE)) as u8;
                narrow
            }

            #[inline]
            fn of(narrow: u8) -> Self {
                Self::from(narrow)
            }

            #[inline]
            fn byte(self, number: usize) -> u8 {
                self.to_le_bytes()[number]
            }

            #[inline]
            fn with_byte(self, number: usize, byte: u8) -> Self {
                self | Self::from(byte) << (8 * number)
            }

            #[inline]
            fn add(bytes: &mut [u8], mask: u8, differences: &[Self; MASKED]) {
                let (elements, _) = bytes.as_chunks_mut::<{ size_of::<Self>() }>();
                let ranks = &RANKS[usize::from(mask)];
                let sum = |element: [u8; size_of::<Self>()], number: usize| {
                    let difference = differences[usize::from(ranks[number]) % MASKED];
                    let is_changed = Self::from(mask >> number & 1).wrapping_neg();
                    let sum = Self::from_le_bytes(element).wrapping_add(difference & is_changed);
                    sum.to_le_bytes()
                };
                if let Some(eight) = elements.first_chunk_mut::<MASKED>() {
                    *eight = std::array::from_fn(|number| sum(eight[number], number));
                } else {
                    for (number, element) in elements.iter_mut().enumerate() {
                        *element = sum(*element, number);
                    }
                }
            }
        }
    };
}

bits!(u8, i8);
bits!(u16, i16);
bits!(u32, i32);
bits!(u64, i64);

/// The masks of the elements of a group that differ.
#[inline]
pub(super) fn masks<B: Bits>(base: &[u8], new: &[u8]) -> [u8; GROUP / MASKED] {
    let mut differ = [0; GROUP];
    B::differ(base, new, &mut differ);
    let (eights, _) = differ.as_chunks::<MASKED>();
    // Each factor moves the lowest bit of one byte to its place in the highest byte, and no two bits meet.
    let mask = |bytes| {
        u64::from_le_bytes(bytes)
            .wrapping_mul(0x0102_0408_1020_4080)
            .to_le_bytes()[7]
    };
    std::array::from_fn(|number| mask(eights[number]))
}

/// Stores the differences of the elements in the mask at the start of `values`.
#[inline]
pub(super) fn store_differences<B: Bits>(base: &[B; MASKED], new: &[B; MASKED], mask: u8, values: &mut [B; MASKED]) {
    let differences: [B; MASKED] = std::array::from_fn(|number| new[number].difference(base[number]));
    for (value, number) in values.iter_mut().zip(NUMBERS[usize::from(mask)]) {
        *value = differences[usize::from(number) % MASKED];
    }
}

/// For each mask, the numbers of the bits that are set, and zeros behind them.
const NUMBERS: [[u8; MASKED]; 256] = tables().0;

/// For each mask and bit, the number of lower bits that are set.
const RANKS: [[u8; MASKED]; 256] = tables().1;

const fn tables() -> ([[u8; MASKED]; 256], [[u8; MASKED]; 256]) {
    let (mut numbers, mut ranks) = ([[0; MASKED]; 256], [[0; MASKED]; 256]);
    let mut mask = 0;
    while mask < 256 {
        let (mut number, mut rank) = (0u8, 0u8);
        while (number as usize) < MASKED {
            ranks[mask][number as usize] = rank;
            if mask >> number & 1 == 1 {
                numbers[mask][rank as usize] = number;
                rank += 1;
            }
            number += 1;
        }
        mask += 1;
    }
    (numbers, ranks)
}
