//! Measures the change of a tensor, piece by piece.

use super::TensorChange;
use super::norm::Norm;
use crate::entry::{DType, decode};

/// The number of elements that are decoded at a time, so that they stay in the processor's cache.
const AT_ONCE: usize = 4096;

/// The form in which the elements of two tensors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Elements of the first and the second tensor, as numbers.
    Numbers(DType, DType),
    /// Runs of this many bytes.
    Bytes(usize),
}

/// The change of a piece of a tensor, or of several pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Change {
    elements: u64,
    /// The largest difference; infinite if an element has changed from or to NaN or an infinity.
    largest: f64,
    difference: Norm,
    first: Norm,
}

/// Memory for decoded elements.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Comparison {
    /// The comparison of two tensors of one shape; `None` if one has numbers and the other has not.
    pub(super) fn of(first: DType, second: DType) -> Option<Self> {
        let is_number = |dtype| decode(dtype, &[], &mut Vec::new());
        if is_number(first) && is_number(second) {
            return Some(Self::Numbers(first, second));
        }
        // Elements that share bytes are compared as bytes.
        let item = first.bits() / 8;
        (first == second).then_some(Self::Bytes(item.max(1)))
    }

    pub(super) fn has_numbers(self) -> bool {
        matches!(self, Self::Numbers(..))
    }

    /// The bytes of an element in the first and the second tensor.
    pub(super) fn items(self) -> (usize, usize) {
        match self {
            Self::Numbers(first, second) => (first.bits() / 8, second.bits() / 8),
            Self::Bytes(item) => (item, item),
        }
    }

    /// The change from `first` to `second`, the bytes of the same elements.
    pub(super) fn change(self, first: &[u8], second: &[u8], decoded: &mut Decoded) -> Change {
        let mut change = Change::default();
        let (item, other) = self.items();
        let pairs = first.chunks(AT_ONCE * item).zip(second.chunks(AT_ONCE * other));
        for (first, second) in pairs {
            match self {
                Self::Numbers(of_first, of_second) => {
                    change.add_numbers((of_first, first), (of_second, second), decoded);
                }
                Self::Bytes(item) if first != second => {
                    let elements = first.chunks(item).zip(second.chunks(item));
                    change.elements += elements.filter(|(first, second)| first != second).count() as u64;
                }
                Self::Bytes(_) => {}
            }
        }
        change
    }
}

impl Change {
    pub(super) fn merge(&mut self, other: &Self) {
        self.elements += other.elements;
        self.largest = self.largest.max(other.largest);
        self.difference.merge(other.difference);
        self.first.merge(other.first);
    }

    pub(super) fn finish(self, comparison: Comparison) -> TensorChange {
        let Comparison::Numbers(..) = comparison else {
            return TensorChange {
                elements: self.elements,
                largest: None,
                relative: None,
            };
        };
        let relative = match self.elements {
            0 => 0.,
            _ if self.largest.is_infinite() => f64::INFINITY,
            _ => self.difference.over(self.first),
        };
        TensorChange {
            elements: self.elements,
            largest: Some(self.largest),
            relative: Some(relative),
        }
    }

    fn add_numbers(&mut self, first: (DType, &[u8]), second: (DType, &[u8]), decoded: &mut Decoded) {
        let Decoded {
            first: values,
            second: changes,
        } = decoded;
        values.clear();
        changes.clear();
        decode(first.0, first.1, values);
        if first != second {
            decode(second.0, second.1, changes);
            self.add_differences(first, second, values, changes);
        }
        values
            .iter_mut()
            .filter(|value| !value.is_finite())
            .for_each(|value| *value = 0.);
        self.first.add(values);
    }

    /// Replaces the second values by their distances from the first, and counts these.
    fn add_differences(
        &mut self,
        (dtype, first): (DType, &[u8]),
        (other, second): (DType, &[u8]),
        values: &[f64],
        changes: &mut [f64],
    ) {
        match (dtype, other) {
            // These have more digits than a float.
            (DType::I64, DType::I64) => {
                distances(first, second, changes, |a, b| {
                    i64::from_le_bytes(a).abs_diff(i64::from_le_bytes(b))
                });
            }
            (DType::U64, DType::U64) => {
                distances(first, second, changes, |a, b| {
                    u64::from_le_bytes(a).abs_diff(u64::from_le_bytes(b))
                });
            }
            _ => {
                let pairs = values.iter().zip(changes.iter_mut());
                pairs.for_each(|(value, change)| *change = distance(*value, *change));
            }
        }
        let largest = changes.iter().fold(0f64, |largest, change| largest.max(*change));
        self.elements += changes.iter().filter(|change| **change > 0.).count() as u64;
        self.largest = self.largest.max(largest);
        if largest.is_finite() {
            self.difference.add(changes);
        }
    }
}

/// The distance of two elements: 0 for equal ones and for NaN that stays, infinite for a change from or to NaN.
#[inline]
fn distance(a: f64, b: f64) -> f64 {
    #[allow(clippy::float_cmp, reason = "equal elements have not changed")]
    let is_same = a == b || (a.is_nan() && b.is_nan());
    let distance = (b - a).abs();
    match (is_same, distance.is_nan()) {
        (true, _) => 0.,
        (false, true) => f64::INFINITY,
        (false, false) => distance,
    }
}

/// The distances of integers of 64 bits.
#[allow(clippy::cast_precision_loss, reason = "the distance is exact, and rounded only then")]
fn distances(first: &[u8], second: &[u8], into: &mut [f64], distance: fn([u8; 8], [u8; 8]) -> u64) {
    let pairs = first.as_chunks().0.iter().zip(second.as_chunks().0);
    into.iter_mut()
        .zip(pairs)
        .for_each(|(into, (first, second))| *into = distance(*first, *second) as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(dtype: DType, first: &[u8], second: &[u8]) -> TensorChange {
        let comparison = Comparison::of(dtype, dtype).unwrap();
        comparison
            .change(first, second, &mut Decoded::default())
            .finish(comparison)
    }

    fn floats(first: &[f32], second: &[f32]) -> (u64, f64, f64) {
        let [first, second] = [first, second].map(|floats| floats.iter().flat_map(|float| float.to_le_bytes()));
        let [first, second] = [first, second].map(Iterator::collect::<Vec<u8>>);
        let change = change(DType::F32, &first, &second);
        (change.elements, change.largest.unwrap(), change.relative.unwrap())
    }

    #[test]
    fn a_change_is_the_norm_of_the_difference_over_that_of_the_first() {
        assert_eq!(floats(&[3., 4.], &[3., 4.]), (0, 0., 0.));
        assert_eq!(floats(&[3., 4.], &[3., 3.5]), (1, 0.5, 0.1));
        assert_eq!(floats(&[0., 0.], &[0., 1.]), (1, 1., f64::INFINITY));
        assert_eq!(floats(&[0., -0.], &[-0., 0.]), (0, 0., 0.));
        assert_eq!(floats(&[], &[]), (0, 0., 0.));
    }

    #[test]
    fn nan_is_equal_to_nan_and_infinitely_far_from_the_rest() {
        let (nan, infinity) = (f32::NAN, f32::INFINITY);
        assert_eq!(floats(&[nan, 4., infinity], &[-nan, 3., infinity]), (1, 1., 0.25));
        for (a, b) in [
            (nan, 1.),
            (1., nan),
            (infinity, 1.),
            (infinity, -infinity),
            (nan, infinity),
        ] {
            assert_eq!(floats(&[a, 2.], &[b, 2.]), (1, f64::INFINITY, f64::INFINITY), "{a} {b}");
        }
    }

    #[test]
    fn long_integers_differ_by_one() {
        let large = (1u64 << 53) + 1;
        let changed = change(DType::U64, &large.to_le_bytes(), &(large - 1).to_le_bytes());
        assert_eq!((changed.elements, changed.largest), (1, Some(1.)));
        let changed = change(DType::I64, &i64::MIN.to_le_bytes(), &i64::MAX.to_le_bytes());
        assert_eq!((changed.elements, changed.largest), (1, Some(2f64.powi(64))));
    }

    #[test]
    fn other_element_types_are_compared_as_numbers_and_those_that_are_none_as_bytes() {
        let halves = |float: f32| half::bf16::from_f32(float).to_le_bytes();
        let comparison = Comparison::of(DType::F32, DType::BF16).unwrap();
        let first: Vec<u8> = [1f32, 2.].iter().flat_map(|float| float.to_le_bytes()).collect();
        let second: Vec<u8> = [1f32, 2.].iter().flat_map(|float| halves(*float)).collect();
        let equal = comparison.change(&first, &second, &mut Decoded::default());
        assert_eq!(equal.finish(comparison).elements, 0);

        assert_eq!(Comparison::of(DType::C64, DType::F32), None);
        let comparison = Comparison::of(DType::C64, DType::C64).unwrap();
        let (first, mut second) = (vec![0; 8 * 10_000], vec![0; 8 * 10_000]);
        second[8 * 9000 + 3] = 1;
        second[8 * 9000 + 5] = 1;
        let changed = comparison
            .change(&first, &second, &mut Decoded::default())
            .finish(comparison);
        assert_eq!((changed.elements, changed.largest, changed.relative), (1, None, None));
        assert_eq!(Comparison::of(DType::F4, DType::F4), Some(Comparison::Bytes(1)));
    }
}
