//! Elements as numbers, whatever their type is.

use float8::{F8E4M3, F8E5M2};
use half::{bf16, f16};

use super::DType;

/// Appends the elements of little-endian bytes as `f64`. An integer beyond 2^53 is rounded.
///
/// Returns `false`, with nothing appended, for types whose elements are no single number or share bytes: complex numbers, and
/// floats of four and six bits. Bytes after the last whole element are not looked at.
pub(crate) fn decode(dtype: DType, bytes: &[u8], into: &mut Vec<f64>) -> bool {
    macro_rules! each {
        ($len:literal, $number:expr) => {{
            let number: fn([u8; $len]) -> f64 = $number;
            into.extend(bytes.as_chunks::<$len>().0.iter().map(|bytes| number(*bytes)));
        }};
    }
    #[allow(clippy::cast_precision_loss, reason = "as documented")]
    match dtype {
        DType::Bool => each!(1, |[byte]| f64::from(byte != 0)),
        DType::U8 => each!(1, |[byte]| f64::from(byte)),
        DType::I8 => each!(1, |bytes| f64::from(i8::from_le_bytes(bytes))),
        DType::U16 => each!(2, |bytes| f64::from(u16::from_le_bytes(bytes))),
        DType::I16 => each!(2, |bytes| f64::from(i16::from_le_bytes(bytes))),
        DType::U32 => each!(4, |bytes| f64::from(u32::from_le_bytes(bytes))),
        DType::I32 => each!(4, |bytes| f64::from(i32::from_le_bytes(bytes))),
        DType::U64 => each!(8, |bytes| u64::from_le_bytes(bytes) as f64),
        DType::I64 => each!(8, |bytes| i64::from_le_bytes(bytes) as f64),
        DType::F8E4M3 => each!(1, |[byte]| f64::from(F8E4M3::from_bits(byte).to_f32())),
        DType::F8E5M2 => each!(1, |[byte]| f64::from(F8E5M2::from_bits(byte).to_f32())),
        DType::F8E8M0 => each!(1, |[byte]| exponent_only(byte)),
        DType::F8E4M3FNUZ => each!(1, |[byte]| without_negative_zero(byte, 3, 8)),
        DType::F8E5M2FNUZ => each!(1, |[byte]| without_negative_zero(byte, 2, 16)),
        DType::F16 => each!(2, |bytes| f16::from_le_bytes(bytes).to_f64()),
        DType::BF16 => each!(2, |bytes| bf16::from_le_bytes(bytes).to_f64()),
        DType::F32 => each!(4, |bytes| f64::from(f32::from_le_bytes(bytes))),
        DType::F64 => each!(8, f64::from_le_bytes),
        DType::F4 | DType::F6E2M3 | DType::F6E3M2 | DType::C64 | DType::C128 | DType::Other => return false,
    }
    true
}

/// A scale of the OCP Microscaling formats, version 1.0: a power of two.
fn exponent_only(byte: u8) -> f64 {
    match byte {
        0xff => f64::NAN,
        _ => 2f64.powi(i32::from(byte) - 127),
    }
}

/// The floats of Noune and others, "8-bit Numerical Formats for Deep Neural Networks" (2022): the bits of a negative zero stand for
/// NaN, and no bits stand for an infinity.
fn without_negative_zero(byte: u8, mantissa_bits: i32, bias: i32) -> f64 {
    if byte == 0x80 {
        return f64::NAN;
    }
    let sign = if byte & 0x80 == 0 { 1. } else { -1. };
    let magnitude = i32::from(byte & 0x7f);
    let (exponent, mantissa) = (magnitude >> mantissa_bits, magnitude & ((1 << mantissa_bits) - 1));
    let fraction = f64::from(mantissa) / f64::from(1 << mantissa_bits);
    let (whole, power) = if exponent == 0 {
        (0., 1 - bias)
    } else {
        (1., exponent - bias)
    };
    sign * (whole + fraction) * 2f64.powi(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(dtype: DType, bytes: &[u8]) -> Vec<f64> {
        let mut numbers = Vec::new();
        assert!(decode(dtype, bytes, &mut numbers), "{dtype}");
        numbers
    }

    #[test]
    fn integers_keep_their_sign() {
        assert_eq!(decoded(DType::Bool, &[0, 1, 2]), [0., 1., 1.]);
        assert_eq!(decoded(DType::I8, &[0xff, 0x7f]), [-1., 127.]);
        assert_eq!(decoded(DType::U16, &[0xff, 0xff]), [65_535.]);
        assert_eq!(decoded(DType::I16, &[0, 0x80]), [-32_768.]);
        assert_eq!(decoded(DType::I64, &(-3i64).to_le_bytes()), [-3.]);
        assert_eq!(
            decoded(DType::U64, &u64::MAX.to_le_bytes()),
            [18_446_744_073_709_551_616.]
        );
    }

    #[test]
    fn floats_of_eight_bits_have_the_values_of_their_tables() {
        // The largest, the smallest above zero, and one.
        assert_eq!(decoded(DType::F8E4M3, &[0x7e, 0x01, 0x38]), [448., 2f64.powi(-9), 1.]);
        assert_eq!(
            decoded(DType::F8E5M2, &[0x7b, 0x01, 0x3c]),
            [57_344., 2f64.powi(-16), 1.]
        );
        assert_eq!(
            decoded(DType::F8E4M3FNUZ, &[0x7f, 0x01, 0x40]),
            [240., 2f64.powi(-10), 1.]
        );
        assert_eq!(
            decoded(DType::F8E5M2FNUZ, &[0x7f, 0x01, 0x40]),
            [57_344., 2f64.powi(-17), 1.]
        );
        assert_eq!(
            decoded(DType::F8E8M0, &[0, 127, 254]),
            [2f64.powi(-127), 1., 2f64.powi(127)]
        );
        for (dtype, bits) in [(DType::F8E4M3FNUZ, 0x80), (DType::F8E8M0, 0xff), (DType::F8E4M3, 0x7f)] {
            assert!(decoded(dtype, &[bits])[0].is_nan(), "{dtype}");
        }
    }

    #[test]
    fn wider_floats_are_exact() {
        assert_eq!(decoded(DType::F16, &f16::from_f64(-0.5).to_le_bytes()), [-0.5]);
        assert_eq!(decoded(DType::BF16, &bf16::from_f64(3.).to_le_bytes()), [3.]);
        assert_eq!(
            decoded(DType::F32, &f32::MIN_POSITIVE.to_le_bytes()),
            [f64::from(f32::MIN_POSITIVE)]
        );
        assert_eq!(decoded(DType::F64, &f64::MAX.to_le_bytes()), [f64::MAX]);
    }

    #[test]
    fn packed_and_complex_elements_are_not_decoded() {
        let mut numbers = Vec::new();
        for dtype in [DType::F4, DType::F6E2M3, DType::C64, DType::Other] {
            assert!(!decode(dtype, &[0; 16], &mut numbers), "{dtype}");
        }
        assert!(numbers.is_empty());
    }
}
