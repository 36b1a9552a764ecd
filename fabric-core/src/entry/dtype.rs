//! Element types: those candle has, and those that files hold and candle does not.

use std::fmt;

/// The element type of a tensor, in memory or in a file.
///
/// Wider than candle's own enum, because files are: a `bool` mask that PyTorch wrote has a name and a size here,
/// although no candle tensor can hold it. Compares directly with [`candle_core::DType`].
///
/// ```
/// # use fabric_core::DType;
/// assert!(DType::F32 == candle_core::DType::F32);
/// assert_eq!(DType::Bool.to_candle(), None);
/// assert_eq!(DType::BF16.to_string(), "BF16");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum DType {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F4,
    F6E2M3,
    F6E3M2,
    F8E4M3,
    F8E5M2,
    F8E8M0,
    F8E4M3FNUZ,
    F8E5M2FNUZ,
    F16,
    BF16,
    F32,
    F64,
    C64,
    C128,
    /// A type of a newer candle than this library knows: it has a name, and cannot be stored.
    Other,
}

/// Every element type with the name that safetensors headers use, its bits, and candle's twin.
const TABLE: &[(DType, &str, usize, Option<candle_core::DType>)] = &[
    (DType::Bool, "BOOL", 8, None),
    (DType::U8, "U8", 8, Some(candle_core::DType::U8)),
    (DType::I8, "I8", 8, None),
    (DType::U16, "U16", 16, None),
    (DType::I16, "I16", 16, Some(candle_core::DType::I16)),
    (DType::U32, "U32", 32, Some(candle_core::DType::U32)),
    (DType::I32, "I32", 32, Some(candle_core::DType::I32)),
    (DType::U64, "U64", 64, None),
    (DType::I64, "I64", 64, Some(candle_core::DType::I64)),
    (DType::F4, "F4", 4, Some(candle_core::DType::F4)),
    (DType::F6E2M3, "F6_E2M3", 6, Some(candle_core::DType::F6E2M3)),
    (DType::F6E3M2, "F6_E3M2", 6, Some(candle_core::DType::F6E3M2)),
    (DType::F8E4M3, "F8_E4M3", 8, Some(candle_core::DType::F8E4M3)),
    (DType::F8E5M2, "F8_E5M2", 8, None),
    (DType::F8E8M0, "F8_E8M0", 8, Some(candle_core::DType::F8E8M0)),
    (DType::F8E4M3FNUZ, "F8_E4M3FNUZ", 8, None),
    (DType::F8E5M2FNUZ, "F8_E5M2FNUZ", 8, None),
    (DType::F16, "F16", 16, Some(candle_core::DType::F16)),
    (DType::BF16, "BF16", 16, Some(candle_core::DType::BF16)),
    (DType::F32, "F32", 32, Some(candle_core::DType::F32)),
    (DType::F64, "F64", 64, Some(candle_core::DType::F64)),
    (DType::C64, "C64", 64, None),
    (DType::C128, "C128", 128, None),
    (DType::Other, "OTHER", 0, None),
];

impl DType {
    fn row(self) -> &'static (DType, &'static str, usize, Option<candle_core::DType>) {
        // The table lists the variants in their declared order; a unit test holds it to that.
        &TABLE[self as usize]
    }

    /// Bits of one element: sub-byte types are packed.
    #[must_use]
    pub fn bits(self) -> usize {
        self.row().2
    }

    /// The name in safetensors headers, such as `"F32"` or `"F8_E4M3"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The element type that a safetensors header calls `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.1 == name && row.0 != Self::Other)
            .map(|row| row.0)
    }

    /// Candle's element type with the same bytes, if it has one.
    #[must_use]
    pub fn to_candle(self) -> Option<candle_core::DType> {
        self.row().3
    }
}

impl DType {
    /// The element type of candle that holds every value of this one: its twin, or the next wider.
    pub(crate) fn widened(self) -> Option<candle_core::DType> {
        match self {
            Self::Bool => Some(candle_core::DType::U8),
            Self::I8 => Some(candle_core::DType::I64),
            Self::U16 => Some(candle_core::DType::U32),
            Self::F8E5M2 => Some(candle_core::DType::F16),
            other => other.to_candle(),
        }
    }
}

impl From<candle_core::DType> for DType {
    fn from(dtype: candle_core::DType) -> Self {
        use candle_core::DType as C;
        match dtype {
            C::U8 => Self::U8,
            C::U32 => Self::U32,
            C::I16 => Self::I16,
            C::I32 => Self::I32,
            C::I64 => Self::I64,
            C::BF16 => Self::BF16,
            C::F16 => Self::F16,
            C::F32 => Self::F32,
            C::F64 => Self::F64,
            C::F8E4M3 => Self::F8E4M3,
            C::F6E2M3 => Self::F6E2M3,
            C::F6E3M2 => Self::F6E3M2,
            C::F4 => Self::F4,
            C::F8E8M0 => Self::F8E8M0,
            _ => Self::Other,
        }
    }
}

impl PartialEq<candle_core::DType> for DType {
    fn eq(&self, other: &candle_core::DType) -> bool {
        *self == Self::from(*other)
    }
}

impl PartialEq<DType> for candle_core::DType {
    fn eq(&self, other: &DType) -> bool {
        other == self
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_at_its_variant() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, at, "{} is out of order", row.1);
            assert_eq!(DType::from_name(row.1), Some(row.0).filter(|&d| d != DType::Other));
            if let Some(candle) = row.3 {
                assert_eq!(DType::from(candle), row.0);
            }
        }
    }
}
