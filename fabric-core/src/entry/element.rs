//! One element of a tensor, as a caller of the library gets it.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{DType, decode};

/// One element of a tensor, without a loss.
///
/// Its `Display` has the fewest digits that read back as the same number. Its `Serialize` gives a number or a bool, and for numbers
/// that JSON lacks the texts `"NaN"`, `"Infinity"` and `"-Infinity"`.
///
/// ```
/// # use fabric_core::Element;
/// assert_eq!(Element::Single(0.1).to_string(), "0.1");
/// assert_eq!(Element::Integer(-3).to_f64(), -3.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Element {
    /// An element of type `BOOL`.
    Bool(bool),
    /// An element of an integer type.
    Integer(i128),
    /// An element of a float type with at most 32 bits.
    Single(f32),
    /// An element of type `F64`.
    Double(f64),
}

impl Element {
    /// The element as a number; true is 1. An integer beyond 2^53 is rounded.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Bool(flag) => f64::from(flag),
            #[allow(clippy::cast_precision_loss, reason = "as documented")]
            Self::Integer(integer) => integer as f64,
            Self::Single(float) => float.into(),
            Self::Double(float) => float,
        }
    }

    /// Returns false for types whose elements are no single number or share bytes: complex numbers, and floats of four and six bits.
    pub(crate) fn can_be(dtype: DType) -> bool {
        decode(dtype, &[], &mut Vec::new())
    }

    /// Appends the elements of little-endian bytes. Returns false, with nothing appended, for types that are no
    /// [elements](Self::can_be). Bytes after the last whole element are not looked at.
    pub(crate) fn decode(dtype: DType, bytes: &[u8], into: &mut Vec<Self>) -> bool {
        match dtype {
            DType::I64 => into.extend(eights(bytes).map(|bytes| Self::Integer(i64::from_le_bytes(bytes).into()))),
            DType::U64 => into.extend(eights(bytes).map(|bytes| Self::Integer(u64::from_le_bytes(bytes).into()))),
            _ => {
                let mut numbers = Vec::new();
                if !decode(dtype, bytes, &mut numbers) {
                    return false;
                }
                into.extend(numbers.into_iter().map(|number| Self::of(dtype, number)));
            }
        }
        true
    }

    /// The element of a type that `f64` holds without a loss.
    #[allow(clippy::cast_possible_truncation, reason = "the number is of the narrower type")]
    fn of(dtype: DType, number: f64) -> Self {
        match dtype {
            DType::Bool => Self::Bool(number != 0.),
            DType::U8 | DType::I8 | DType::U16 | DType::I16 | DType::U32 | DType::I32 => Self::Integer(number as i128),
            DType::F64 => Self::Double(number),
            _ => Self::Single(number as f32),
        }
    }
}

fn eights(bytes: &[u8]) -> impl Iterator<Item = [u8; 8]> {
    bytes.as_chunks().0.iter().copied()
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(flag) => flag.fmt(f),
            Self::Integer(integer) => integer.fmt(f),
            // `Debug` writes very large and very small numbers with an exponent.
            Self::Single(float) => fmt::Debug::fmt(float, f),
            Self::Double(float) => fmt::Debug::fmt(float, f),
        }
    }
}

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Bool(flag) => serializer.serialize_bool(flag),
            Self::Integer(integer) => match (u64::try_from(integer), i64::try_from(integer)) {
                (Ok(unsigned), _) => serializer.serialize_u64(unsigned),
                (_, Ok(signed)) => serializer.serialize_i64(signed),
                _ => serializer.serialize_i128(integer),
            },
            Self::Single(float) if float.is_finite() => serializer.serialize_f32(float),
            other => serialize_float(other.to_f64(), serializer),
        }
    }
}

/// A float, and a text where JSON has no number.
pub(crate) fn serialize_float<S: Serializer>(float: f64, serializer: S) -> Result<S::Ok, S::Error> {
    match float {
        float if float.is_nan() => serializer.serialize_str("NaN"),
        f64::INFINITY => serializer.serialize_str("Infinity"),
        f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
        float => serializer.serialize_f64(float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_exact() {
        let mut elements = Vec::new();
        assert!(Element::decode(DType::U64, &u64::MAX.to_le_bytes(), &mut elements));
        assert!(Element::decode(DType::I64, &i64::MIN.to_le_bytes(), &mut elements));
        assert!(Element::decode(DType::Bool, &[2], &mut elements));
        assert!(Element::decode(DType::BF16, &[0x80, 0x3f], &mut elements));
        assert!(Element::decode(DType::F64, &0.1f64.to_le_bytes(), &mut elements));
        let expected = [
            Element::Integer(u64::MAX.into()),
            Element::Integer(i64::MIN.into()),
            Element::Bool(true),
            Element::Single(1.),
            Element::Double(0.1),
        ];
        assert_eq!(elements, expected);
        assert!(!Element::decode(DType::C64, &[0; 8], &mut elements) && !Element::can_be(DType::F4));
    }

    #[test]
    fn texts_and_json_read_back() {
        let elements = [
            Element::Single(0.1),
            Element::Single(1e-30),
            Element::Double(f64::NAN),
            Element::Integer(7),
        ];
        assert_eq!(
            elements.map(|element| element.to_string()),
            ["0.1", "1e-30", "NaN", "7"]
        );
        assert_eq!(serde_json::to_string(&elements).unwrap(), r#"[0.1,1e-30,"NaN",7]"#);
    }
}
