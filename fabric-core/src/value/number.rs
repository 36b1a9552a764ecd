//! Numbers, and which types hold them exactly.

use ciborium::Value as Cbor;
use serde::de::Unexpected;

/// CBOR's own tags for integers of more than 64 bits.
const POSITIVE: u64 = 2;
const NEGATIVE: u64 = 3;

/// A number of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i128),
    /// Larger than an `i128`.
    Large(u128),
    Float(f64),
}

impl Number {
    pub(super) fn of(value: &Cbor) -> Option<Self> {
        match value {
            Cbor::Integer(integer) => Some(Self::Integer((*integer).into())),
            Cbor::Float(float) => Some(Self::Float(*float)),
            Cbor::Tag(POSITIVE, bytes) => Some(Self::from(magnitude(bytes)?)),
            Cbor::Tag(NEGATIVE, bytes) => {
                let below = i128::try_from(magnitude(bytes)?).ok()?;
                Some(Self::Integer(-1 - below))
            }
            _ => None,
        }
    }

    pub(super) fn unexpected<'a>(self) -> Unexpected<'a> {
        match self {
            Self::Float(float) => Unexpected::Float(float),
            Self::Integer(integer) => match (u64::try_from(integer), i64::try_from(integer)) {
                (Ok(unsigned), _) => Unexpected::Unsigned(unsigned),
                (_, Ok(signed)) => Unexpected::Signed(signed),
                _ => Unexpected::Other("large integer"),
            },
            Self::Large(_) => Unexpected::Other("large integer"),
        }
    }

    /// The number as an integer, if it has no fraction.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked first"
    )]
    pub(super) fn whole(self) -> Option<Self> {
        const END: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
        match self {
            Self::Float(float) if float.fract() != 0.0 => None,
            Self::Float(float) if (-END..END).contains(&float) => Some(Self::Integer(float as i128)),
            Self::Float(float) if (END..2.0 * END).contains(&float) => Some(Self::Large(float as u128)),
            Self::Float(_) => None,
            integer => Some(integer),
        }
    }

    /// This number as an integer type.
    pub(super) fn integer<T: TryFrom<i128> + TryFrom<u128>>(self) -> Option<T> {
        match self.whole()? {
            Self::Integer(integer) => T::try_from(integer).ok(),
            Self::Large(large) => T::try_from(large).ok(),
            Self::Float(_) => None,
        }
    }

    /// This number as an `f64`, which must hold an integer exactly.
    #[allow(clippy::cast_precision_loss, reason = "what is lost is found out")]
    pub(super) fn double(self) -> Option<f64> {
        let float = match self {
            Self::Float(float) => return Some(float),
            Self::Integer(integer) => integer as f64,
            Self::Large(large) => large as f64,
        };
        (Self::Float(float).whole() == Some(self)).then_some(float)
    }

    /// This number as an `f32`: a float is rounded, and must be in its range; an integer must be held exactly.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "what is lost is found out"
    )]
    pub(super) fn single(self) -> Option<f32> {
        let double = self.double()?;
        let single = double as f32;
        let fits = match self {
            Self::Float(float) => single.is_finite() || !float.is_finite(),
            _ => Self::Float(single.into()).whole() == Some(self),
        };
        fits.then_some(single)
    }

    /// The results of rounding this number to `f64` and to `f32`, where they differ from it: another integer, or
    /// infinity.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "this is the loss"
    )]
    pub(super) fn losses(self) -> [Option<f64>; 2] {
        let double = match self {
            Self::Float(float) => float,
            Self::Integer(integer) => integer as f64,
            Self::Large(large) => large as f64,
        };
        let single = f64::from(double as f32);
        if let Self::Float(float) = self {
            return [
                None,
                Some(single).filter(|single| float.is_finite() && !single.is_finite()),
            ];
        }
        [double, single].map(|rounded| Some(rounded).filter(|rounded| Self::Float(*rounded).whole() != Some(self)))
    }

    /// The exact number, as a key of a set.
    pub(super) fn key(self) -> (u8, u128) {
        match self {
            Self::Integer(integer) => (0, integer.cast_unsigned()),
            Self::Large(large) => (1, large),
            Self::Float(float) => (2, float.to_bits().into()),
        }
    }
}

impl From<u128> for Number {
    fn from(number: u128) -> Self {
        i128::try_from(number).map_or(Self::Large(number), Self::Integer)
    }
}

/// Bytes as an integer, most significant first.
fn magnitude(bytes: &Cbor) -> Option<u128> {
    let bytes = bytes.as_bytes()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let significant = &bytes[zeros..];
    (significant.len() <= 16).then(|| significant.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
}
