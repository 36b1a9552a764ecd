//! Reads tensors without dimensions as values, where the state has a value. PyTorch keeps the step count of a parameter
//! in such a tensor.

use crate::entry::DType;
use crate::error::Result;
use crate::hash::HashMap;
use crate::load::matching::LoadPlan;
use crate::load::raw::RawCheckpoint;
use crate::source::read::read_into;
use crate::value::Value;

/// The values that each tensor may stand for, the closest first.
pub(super) type Scalars = HashMap<String, Vec<Value>>;

/// Reads the tensors for which the plan expects values.
pub(crate) fn read(raw: &RawCheckpoint, plan: &LoadPlan<'_>) -> Result<Scalars> {
    let mut scalars = Scalars::default();
    for &(_, name) in &plan.values {
        if let Some(stored) = raw.index.tensors.get(name) {
            let mut bytes = vec![0; stored.info.byte_len().unwrap_or_default()];
            read_into(&*raw.source, name, stored, &mut bytes, 1)?;
            scalars.insert(name.to_owned(), readings(stored.info.dtype(), &bytes));
        }
    }
    Ok(scalars)
}

/// The value of a number. A float without a fraction may also stand for an integer.
pub(super) fn readings(dtype: DType, bytes: &[u8]) -> Vec<Value> {
    let float = match (dtype, bytes) {
        (DType::F64, _) => bytes.try_into().ok().map(f64::from_le_bytes),
        (DType::F32, _) => bytes.try_into().ok().map(f32::from_le_bytes).map(f64::from),
        (DType::F16, &[a, b]) => Some(half::f16::from_le_bytes([a, b]).to_f64()),
        (DType::BF16, &[a, b]) => Some(half::bf16::from_le_bytes([a, b]).to_f64()),
        _ => None,
    };
    let value = match (dtype, bytes) {
        (DType::Bool, [0]) => Value::of(&false),
        (DType::Bool, [1]) => Value::of(&true),
        (DType::I8 | DType::I16 | DType::I32 | DType::I64, _) => Value::of(&signed(bytes)),
        (DType::U8 | DType::U16 | DType::U32 | DType::U64, _) => Value::of(&unsigned(bytes)),
        _ => {
            let floats = float.map(|float| Value::of(&float));
            let whole = float.and_then(whole).map(|whole| Value::of(&whole));
            return floats.into_iter().chain(whole).flatten().collect();
        }
    };
    value.into_iter().collect()
}

fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    i64::from_le_bytes(wide)
}

fn unsigned(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(wide)
}

/// The integer that equals a float, if the float type represents every integer up to it.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn whole(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_u64(dtype: DType, bytes: &[u8]) -> Option<u64> {
        readings(dtype, bytes).iter().find_map(|value| value.decode().ok())
    }

    #[test]
    fn whole_floats_and_integers_of_any_width_are_integers() {
        assert_eq!(as_u64(DType::F32, &3f32.to_le_bytes()), Some(3));
        assert_eq!(as_u64(DType::F64, &1e15f64.to_le_bytes()), Some(1_000_000_000_000_000));
        assert_eq!(as_u64(DType::BF16, &half::bf16::from_f32(64.).to_le_bytes()), Some(64));
        assert_eq!(as_u64(DType::I64, &41i64.to_le_bytes()), Some(41));
        assert_eq!(as_u64(DType::U8, &[255]), Some(255));
        assert_eq!(readings(DType::I16, &[0xfe, 0xff])[0].decode::<i64>(), Ok(-2));
        assert_eq!(readings(DType::Bool, &[1])[0].decode::<bool>(), Ok(true));
    }

    #[test]
    fn what_is_no_integer_is_none() {
        for float in [2.5, -1., f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(as_u64(DType::F64, &float.to_le_bytes()), None, "{float}");
        }
        assert_eq!(as_u64(DType::C64, &[0; 8]), None);
        assert_eq!(readings(DType::F64, &2.5f64.to_le_bytes())[0].decode::<f64>(), Ok(2.5));
    }
}
