//! Converts tensors to another element type on their way from file to file.

use crate::entry::{DType, TensorInfo, decode};
use crate::error::{Error, Result};
use crate::io::checksum::BLOCK;
use crate::load::target::convert_to;

/// A receiver of bytes.
pub(crate) type Take<'t> = dyn FnMut(&[u8]) -> Result<()> + 't;

/// Refuses element types that tensors are not converted to.
pub(crate) fn check_target(dtype: DType) -> Result<()> {
    match dtype {
        DType::F16 | DType::BF16 | DType::F32 | DType::F64 => Ok(()),
        other => Err(Error::Options(format!(
            "tensors are converted to F16, BF16, F32 or F64, and not to {other}"
        ))),
    }
}

/// The element type and the shape of a tensor after the conversion. Only floats are converted, and of these none without
/// dimensions: such a tensor is a count of steps or a scale, and a shorter type would change the number and save nothing.
pub(crate) fn converted(info: &TensorInfo, to: Option<DType>) -> TensorInfo {
    let is_float = matches!(
        info.dtype(),
        DType::F8E4M3 | DType::F8E5M2 | DType::F16 | DType::BF16 | DType::F32 | DType::F64
    );
    match to {
        Some(to) if is_float && !info.shape().is_empty() => TensorInfo::of(to, info.shape()),
        _ => info.clone(),
    }
}

/// Hands the bytes of a tensor, which `read` gives in the element type `from`, to `take` in the type `to`: whole blocks, and the
/// rest at the end. Rounds to the nearest number, ties to even, as candle does. Returns true if a finite number has become
/// infinite.
pub(crate) fn cast(
    name: &str,
    (from, to): (DType, DType),
    read: impl FnOnce(&mut Take<'_>) -> Result<()>,
    take: &mut Take<'_>,
) -> Result<bool> {
    if from == to {
        return read(take).map(|()| false);
    }
    let target = to
        .to_candle()
        .ok_or_else(|| Error::Internal(format!("a conversion to {to}, which candle lacks")))?;
    let (mut held, mut overflows) = (Vec::new(), false);
    read(&mut |bytes| {
        for block in bytes.chunks(BLOCK) {
            let numbers = convert_to(name, block, from, target)?;
            overflows = overflows || loses((from, block), (to, &numbers));
            held.extend_from_slice(&numbers);
        }
        let whole = held.len() - held.len() % BLOCK;
        if whole > 0 {
            take(&held[..whole])?;
            held.drain(..whole);
        }
        Ok(())
    })?;
    if !held.is_empty() {
        take(&held)?;
    }
    Ok(overflows)
}

/// Returns true if a number was finite, and is no longer.
fn loses((from, before): (DType, &[u8]), (to, after): (DType, &[u8])) -> bool {
    if all_finite(to, after) {
        return false;
    }
    let mut numbers = Vec::new();
    if !decode(to, after, &mut numbers) {
        return false;
    }
    let mut earlier = Vec::new();
    decode(from, before, &mut earlier);
    earlier
        .iter()
        .zip(&numbers)
        .any(|(a, b)| a.is_finite() && !b.is_finite())
}

/// Returns true if no number has all bits of its exponent set, as infinities and NaN have. False for other element types than those
/// of [`check_target`].
fn all_finite(dtype: DType, bytes: &[u8]) -> bool {
    // All numbers are looked at, so that the processor looks at many at a time: as a rule, all are finite.
    macro_rules! all_finite {
        ($bits:ty, $exponent:literal) => {{
            let (numbers, _) = bytes.as_chunks::<{ size_of::<$bits>() }>();
            let is_finite =
                |number: &[u8; size_of::<$bits>()]| <$bits>::from_le_bytes(*number) & $exponent != $exponent;
            numbers.iter().fold(true, |all, number| all & is_finite(number))
        }};
    }
    match dtype {
        DType::BF16 => all_finite!(u16, 0x7f80),
        DType::F16 => all_finite!(u16, 0x7c00),
        DType::F32 => all_finite!(u32, 0x7f80_0000),
        DType::F64 => all_finite!(u64, 0x7ff0_0000_0000_0000),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    /// The numbers after a conversion of runs of bytes, and whether one overflows.
    fn cast_runs(runs: &[Vec<u8>], types: (DType, DType)) -> (Vec<usize>, Vec<u8>, bool) {
        let (mut lens, mut all) = (Vec::new(), Vec::new());
        let read = |take: &mut Take<'_>| runs.iter().try_for_each(|run| take(run));
        let overflows = cast("x", types, read, &mut |bytes| {
            lens.push(bytes.len());
            all.extend_from_slice(bytes);
            Ok(())
        });
        (lens, all, overflows.expect("candle converts"))
    }

    #[test]
    fn a_conversion_rounds_to_even_and_notices_what_overflows() {
        let bytes = |numbers: &[f32]| {
            vec![
                numbers
                    .iter()
                    .flat_map(|number| number.to_le_bytes())
                    .collect::<Vec<u8>>(),
            ]
        };
        // Halfway between two neighbours: the even one is taken.
        let halfway = [1. + 1. / 256., 1. + 3. / 256., -0., f32::INFINITY];
        let (_, found, overflows) = cast_runs(&bytes(&halfway), (DType::F32, DType::BF16));
        let expected: Vec<u8> = halfway.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
        assert_eq!((found, overflows), (expected, false), "an infinity stays one");
        assert!((bf16::from_f32(halfway[0]).to_f32() - 1.).abs() < f32::EPSILON);
        let (_, found, overflows) = cast_runs(&bytes(&[65_504., 70_000.]), (DType::F32, DType::F16));
        assert!(overflows);
        assert_eq!(found[2..], f16::INFINITY.to_le_bytes());
    }

    #[test]
    fn numbers_of_every_target_are_finite_below_their_infinity() {
        let f16s =
            [f16::MAX, f16::INFINITY, f16::NAN].map(|x| (x.is_finite(), all_finite(DType::F16, &x.to_le_bytes())));
        let bf16s = [bf16::MIN, bf16::NEG_INFINITY, bf16::NAN]
            .map(|x| (x.is_finite(), all_finite(DType::BF16, &x.to_le_bytes())));
        let f32s =
            [f32::MAX, f32::INFINITY, f32::NAN].map(|x| (x.is_finite(), all_finite(DType::F32, &x.to_le_bytes())));
        let f64s =
            [f64::MIN, f64::INFINITY, f64::NAN].map(|x| (x.is_finite(), all_finite(DType::F64, &x.to_le_bytes())));
        for (expected, found) in [f16s, bf16s, f32s, f64s].into_iter().flatten() {
            assert_eq!(expected, found);
        }
    }

    #[test]
    fn what_is_handed_on_is_whole_blocks_and_a_rest() {
        let runs = vec![vec![0; 3 * BLOCK], vec![0; BLOCK], vec![0; 100]];
        let (lens, all, _) = cast_runs(&runs, (DType::F32, DType::F16));
        assert_eq!(all.len(), 2 * BLOCK + 50);
        let (rest, whole) = lens.split_last().expect("some");
        assert!(whole.iter().all(|len| len % BLOCK == 0), "{lens:?}");
        assert_eq!(*rest, 50);
    }
}
