//! Compares values as a person would: by their contents, and not by the types that a format happens to have.

use ciborium::Value as Cbor;

use super::number::Number;

/// Returns true if the values are equal: numbers as numbers, whether they are integers or floats, and NaN as equal to itself. Two
/// numbers of which one is a float may differ by the relative change `tolerance`. The nesting of values is bounded, and so is the
/// recursion.
pub(crate) fn is_same(a: &Cbor, b: &Cbor, tolerance: f64) -> bool {
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return a.is_near(b, tolerance);
    }
    match (a, b) {
        (Cbor::Array(a), Cbor::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b, tolerance))
        }
        // Maps are stored in the order of their keys.
        (Cbor::Map(a), Cbor::Map(b)) => {
            let mut pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.all(|(a, b)| is_same(&a.0, &b.0, 0.) && is_same(&a.1, &b.1, tolerance))
        }
        (Cbor::Tag(a, inner), Cbor::Tag(b, other)) => a == b && is_same(inner, other, tolerance),
        _ => a == b,
    }
}

/// The relative change of a number, `|b - a| / |a|`: 0 for equal numbers and for NaN that stays, infinite for a change from 0, and
/// for one from or to NaN or an infinity.
fn relative_change(a: f64, b: f64) -> f64 {
    #[allow(clippy::float_cmp, reason = "equal numbers have not changed")]
    if a == b || (a.is_nan() && b.is_nan()) {
        return 0.;
    }
    let change = (b - a).abs() / a.abs();
    if change.is_nan() { f64::INFINITY } else { change }
}

impl Number {
    fn is_near(self, other: Self, tolerance: f64) -> bool {
        let change = relative_change(self.rounded(), other.rounded());
        let is_equal = match (self.whole(), other.whole()) {
            // Integers beyond 2^53 may be equal only after they are rounded.
            (Some(a), Some(b)) => a == b,
            (None, None) => change == 0.,
            _ => false,
        };
        let has_float = matches!(self, Self::Float(_)) || matches!(other, Self::Float(_));
        is_equal || (has_float && tolerance > 0. && change <= tolerance)
    }

    /// The nearest float.
    #[allow(clippy::cast_precision_loss, reason = "the nearest float is asked for")]
    fn rounded(self) -> f64 {
        match self {
            Self::Float(float) => float,
            Self::Integer(integer) => integer as f64,
            Self::Large(large) => large as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: impl Into<Cbor>, b: impl Into<Cbor>, tolerance: f64) -> bool {
        is_same(&a.into(), &b.into(), tolerance)
    }

    #[test]
    fn numbers_are_equal_whatever_their_type_is_and_nan_is_itself() {
        assert!(same(3, 3.0, 0.) && same(0.0, -0.0, 0.) && same(f64::NAN, -f64::NAN, 0.));
        assert!(!same(3, 4, 0.5) && !same(3, 3.5, 0.) && !same(1, true, 0.));
        // 2^53 + 1 is no float, and 2^53 is the nearest one.
        assert!(!same((1u64 << 53) + 1, 9_007_199_254_740_992.0, 0.));
        assert!(same(f64::INFINITY, f64::INFINITY, 0.) && !same(f64::INFINITY, 1., 1e9));
    }

    #[test]
    fn a_tolerance_is_for_floats_wherever_they_are() {
        let pair = |first: f64| Cbor::Array(vec![first.into(), "x".into()]);
        assert!(same(pair(1.), pair(1.01), 0.02) && !same(pair(1.), pair(1.01), 0.001));
        assert!(!same(0., 1e-30, 0.5), "a change from 0 is infinite");
        assert!(same(0., 1e-30, f64::INFINITY));
    }
}
