//! Statistics over the elements of a tensor, in one pass and with constant memory.
//!
//! Elements are gathered into blocks of [`BLOCK`] by their positions in the tensor, whatever pieces they come in. The numbers
//! therefore do not depend on the cut of the tensor into files or on the pieces of a read.

use crate::entry::{DType, decode};

/// The number of elements that are added without compensation.
const BLOCK: usize = 4096;

/// The sums of a block that are added side by side.
const LANES: usize = 8;

/// Statistics of the elements of a tensor or of a box of one, which
/// [`RawCheckpoint::statistics`](crate::RawCheckpoint::statistics) returns.
///
/// All numbers but the counts are over the finite elements. Those that are `f64` are so whatever the element type is: an integer
/// beyond 2^53 is rounded, and true is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// The number of elements.
    pub elements: u64,
    /// The number of elements that are NaN.
    pub nan: u64,
    /// The number of elements that are positive or negative infinity.
    pub infinite: u64,
    /// The number of zeros, negative zeros included.
    pub zeros: u64,
    /// The smallest finite element; `None` if no element is finite.
    pub min: Option<f64>,
    /// The largest finite element; `None` if no element is finite.
    pub max: Option<f64>,
    /// The smallest element of an integer type, exactly; `None` for other types, and if there is no element.
    pub min_integer: Option<i128>,
    /// The largest element of an integer type, exactly; `None` for other types, and if there is no element.
    pub max_integer: Option<i128>,
    /// The mean of the finite elements; `None` if no element is finite.
    pub mean: Option<f64>,
    /// The Euclidean norm (L2) of the finite elements: the square root of the sum of their squares. 0 if no element is finite, and
    /// infinity if it is larger than any `f64`.
    pub norm: f64,
}

/// Takes the elements in row-major order.
#[derive(Debug)]
pub(crate) struct Accumulator {
    dtype: DType,
    /// The elements since the last whole block.
    pending: Vec<f64>,
    elements: u64,
    nan: u64,
    infinite: u64,
    zeros: u64,
    min: f64,
    max: f64,
    /// The smallest and the largest element of an integer type.
    integers: Option<(i128, i128)>,
    sum: Scaled,
    squares: Scaled,
}

impl Accumulator {
    pub(crate) fn new(dtype: DType) -> Self {
        Self {
            dtype,
            pending: Vec::with_capacity(BLOCK),
            elements: 0,
            nan: 0,
            infinite: 0,
            zeros: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            integers: None,
            sum: Scaled::default(),
            squares: Scaled::default(),
        }
    }

    /// Takes the next elements as little-endian bytes. The caller has checked that elements of the type can be decoded.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        let width = (self.dtype.bits() / 8).max(1);
        while !bytes.is_empty() {
            let most = (BLOCK - self.pending.len()) * width;
            let (now, later) = bytes.split_at(most.min(bytes.len()));
            decode(self.dtype, now, &mut self.pending);
            self.take_integers(now);
            if self.pending.len() >= BLOCK {
                self.close_block();
            }
            bytes = later;
        }
    }

    /// Finds the smallest and the largest of elements of an integer type.
    fn take_integers(&mut self, bytes: &[u8]) {
        let found = match self.dtype {
            DType::U64 => extremes(bytes, u64::from_le_bytes),
            DType::I64 => extremes(bytes, i64::from_le_bytes),
            DType::U32 => extremes(bytes, u32::from_le_bytes),
            DType::I32 => extremes(bytes, i32::from_le_bytes),
            DType::U16 => extremes(bytes, u16::from_le_bytes),
            DType::I16 => extremes(bytes, i16::from_le_bytes),
            DType::U8 => extremes(bytes, u8::from_le_bytes),
            DType::I8 => extremes(bytes, i8::from_le_bytes),
            _ => None,
        };
        let Some((min, max)) = found else { return };
        let (smallest, largest) = self.integers.unwrap_or((min, max));
        self.integers = Some((smallest.min(min), largest.max(max)));
    }

    pub(crate) fn finish(mut self) -> Statistics {
        self.close_block();
        let finite = self.elements - self.nan - self.infinite;
        let if_any = |number: f64| (finite > 0).then_some(number);
        #[allow(clippy::cast_precision_loss, reason = "a count of elements is below 2^53")]
        let mean = self.sum.divided_by(finite as f64);
        Statistics {
            elements: self.elements,
            nan: self.nan,
            infinite: self.infinite,
            zeros: self.zeros,
            min: if_any(self.min),
            max: if_any(self.max),
            min_integer: self.integers.map(|(min, _)| min),
            max_integer: self.integers.map(|(_, max)| max),
            // Rounding must not take the mean out of the range of the elements.
            mean: if_any(mean.max(self.min).min(self.max)),
            norm: self.squares.square_root(),
        }
    }

    fn close_block(&mut self) {
        let mut block = std::mem::take(&mut self.pending);
        self.elements += block.len() as u64;
        self.count(&mut block);
        let largest = block.iter().fold(0f64, |largest, number| largest.max(number.abs()));
        let range = Range::of_sums(largest);
        self.sum.add(range, sum_of(&block, |number| number * range.factor()));
        let range = Range::of_squares(largest);
        self.squares.add(
            range,
            sum_of(&block, |number| {
                let scaled = number * range.factor();
                scaled * scaled
            }),
        );
        block.clear();
        self.pending = block;
    }

    /// Counts, finds the smallest and the largest element, and puts zeros in the place of elements that are not finite.
    fn count(&mut self, block: &mut [f64]) {
        for number in block {
            self.zeros += u64::from(*number == 0.);
            if number.is_finite() {
                self.min = if *number < self.min { *number } else { self.min };
                self.max = if *number > self.max { *number } else { self.max };
            } else {
                self.nan += u64::from(number.is_nan());
                self.infinite += u64::from(number.is_infinite());
                *number = 0.;
            }
        }
    }
}

/// The smallest and the largest integer; `None` if there is none.
fn extremes<T: Copy + Ord + Into<i128>, const LEN: usize>(
    bytes: &[u8],
    of: fn([u8; LEN]) -> T,
) -> Option<(i128, i128)> {
    let numbers = bytes.as_chunks::<LEN>().0.iter().map(|bytes| of(*bytes));
    let found = numbers.fold(None, |found, number| match found {
        None => Some((number, number)),
        Some((min, max)) => Some((number.min(min), number.max(max))),
    });
    found.map(|(min, max): (T, T)| (min.into(), max.into()))
}

/// The sum of a function of the elements of a block, in an order that depends on their positions alone.
fn sum_of(block: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0f64; LANES];
    let (chunks, rest) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane += of(*number);
        }
    }
    for (lane, number) in lanes.iter_mut().zip(rest) {
        *lane += of(*number);
    }
    let (pairs, _) = lanes.as_chunks::<2>();
    pairs.iter().map(|[even, odd]| even + odd).sum()
}

/// The powers of two that keep sums from overflow, and squares from overflow and underflow.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Range {
    Tiny,
    Usual,
    Huge,
}

/// The exponent of the factors.
const SCALE: i32 = 600;

impl Range {
    /// The range for the sum of elements up to `largest`: 2^60 of them stay far below the largest `f64`.
    fn of_sums(largest: f64) -> Self {
        if largest >= power(900) { Self::Huge } else { Self::Usual }
    }

    /// The range for the sum of squares of elements up to `largest`. In a block of one range, elements whose squares underflow are
    /// too small to change the sum.
    fn of_squares(largest: f64) -> Self {
        match largest {
            largest if largest >= power(450) => Self::Huge,
            largest if largest < power(-400) => Self::Tiny,
            _ => Self::Usual,
        }
    }

    fn factor(self) -> f64 {
        match self {
            Self::Tiny => power(SCALE),
            Self::Usual => 1.,
            Self::Huge => power(-SCALE),
        }
    }
}

fn power(exponent: i32) -> f64 {
    2f64.powi(exponent)
}

/// A sum for each range.
#[derive(Clone, Copy, Debug, Default)]
struct Scaled {
    tiny: Sum,
    usual: Sum,
    huge: Sum,
}

impl Scaled {
    fn add(&mut self, range: Range, block: f64) {
        match range {
            Range::Tiny => self.tiny.add(block),
            Range::Usual => self.usual.add(block),
            Range::Huge => self.huge.add(block),
        }
    }

    /// The sum of elements divided by their number.
    fn divided_by(&self, count: f64) -> f64 {
        match (self.huge.total(), self.usual.total()) {
            (0., usual) => usual / count,
            (huge, usual) => (huge + usual * power(-SCALE)) / count * power(SCALE),
        }
    }

    /// The square root of the sum of squares.
    fn square_root(&self) -> f64 {
        // The square of the factor underflows: a sum two ranges below does not count.
        let below = power(-SCALE) * power(-SCALE);
        match (self.huge.total(), self.usual.total(), self.tiny.total()) {
            (0., 0., tiny) => tiny.sqrt() * power(-SCALE),
            (0., usual, tiny) => (usual + tiny * below).sqrt(),
            (huge, usual, _) => (huge + usual * below).sqrt() * power(SCALE),
        }
    }
}

/// A sum that carries what rounding loses (Neumaier, 1974).
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, number: f64) {
        let sum = self.sum + number;
        self.lost += if self.sum.abs() >= number.abs() {
            (self.sum - sum) + number
        } else {
            (number - sum) + self.sum
        };
        self.sum = sum;
    }

    fn total(&self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(numbers: &[f64], pieces: &[usize]) -> Statistics {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let (mut accumulator, mut left) = (Accumulator::new(DType::F64), &bytes[..]);
        for piece in pieces.iter().cycle() {
            let (now, later) = left.split_at((piece * 8).min(left.len()));
            accumulator.take(now);
            left = later;
            if left.is_empty() {
                break;
            }
        }
        accumulator.finish()
    }

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-14 * expected.abs(),
            "{found} is not {expected}"
        );
    }

    #[test]
    fn elements_that_are_not_finite_are_counted_and_left_out() {
        let numbers = [3., f64::NAN, -4., f64::INFINITY, 0., f64::NEG_INFINITY, -0.];
        let found = of(&numbers, &[7]);
        assert_eq!((found.elements, found.nan, found.infinite, found.zeros), (7, 1, 2, 2));
        assert_eq!((found.min, found.max, found.mean), (Some(-4.), Some(3.), Some(-0.25)));
        close(found.norm, 5.);
    }

    #[test]
    fn without_finite_elements_there_are_no_numbers() {
        for numbers in [&[][..], &[f64::NAN, f64::INFINITY]] {
            let found = of(numbers, &[1]);
            assert_eq!((found.min, found.max, found.mean), (None, None, None), "{numbers:?}");
            close(found.norm, 0.);
        }
    }

    #[test]
    fn sums_neither_overflow_nor_underflow_nor_drift() {
        let huge = of(&vec![f64::MAX; 10_000], &[1000]);
        assert_eq!(huge.mean, Some(f64::MAX));
        assert!(huge.norm.is_infinite(), "it is larger than any number");
        close(of(&[3e200, 4e200], &[1]).norm, 5e200);
        close(of(&[3e-200, 4e-200], &[1]).norm, 5e-200);
        close(of(&[3e-320, 4e-320], &[1]).norm / 5e-320, 1.);
        let mixed: Vec<f64> = (0..8192).map(|at| if at < 4096 { 1e-160 } else { 1. }).collect();
        close(of(&mixed, &[100]).norm, 64.);
        close(of(&vec![0.1; 1_000_000], &[100_000]).mean.unwrap(), 0.1);
        let cancelling: Vec<f64> = (0..3 * 4096).map(|at| [1e18, 1., -1e18][at / 4096]).collect();
        close(of(&cancelling, &[4096]).mean.unwrap(), 1. / 3.);
    }

    #[test]
    fn integers_and_small_floats_are_decoded() {
        let mut accumulator = Accumulator::new(DType::I8);
        accumulator.take(&[0xff, 0x03, 0x80]);
        let found = accumulator.finish();
        assert_eq!((found.min, found.max, found.elements), (Some(-128.), Some(3.), 3));
    }

    #[test]
    fn the_smallest_and_the_largest_integer_are_exact() {
        let exact = |dtype, bytes: &[u8]| {
            let mut accumulator = Accumulator::new(dtype);
            accumulator.take(bytes);
            let found = accumulator.finish();
            (found.min_integer, found.max_integer)
        };
        let odd = (1u64 << 53) + 1;
        let bytes: Vec<u8> = [u64::MAX, odd].iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(exact(DType::U64, &bytes), (Some(odd.into()), Some(u64::MAX.into())));
        let lowest = exact(DType::I64, &bytes);
        assert_eq!(lowest, (Some(-1), Some(odd.into())));
        assert_eq!(exact(DType::I8, &[0x80, 3]), (Some(-128), Some(3)));
        assert_eq!(exact(DType::Bool, &[1, 0]), (None, None));
        assert_eq!(exact(DType::F32, &[0; 8]), (None, None));
        assert_eq!(exact(DType::I64, &[]), (None, None));
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            numbers in prop::collection::vec(prop::num::f64::ANY, 0..9000),
            pieces in prop::collection::vec(1..5000usize, 1..5),
        ) {
            let bits = |found: Statistics| (found.nan, found.zeros, found.min, found.max, found.mean.map(f64::to_bits), found.norm.to_bits());
            prop_assert_eq!(bits(of(&numbers, &[numbers.len().max(1)])), bits(of(&numbers, &pieces)));
        }
    }
}
