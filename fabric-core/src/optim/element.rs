//! Arithmetic in the precision of a tensor's elements, in a form that compilers turn into vector instructions.
//!
//! Half precision numbers are computed as `f32` and rounded after every operation, which is what candle (through the
//! `half` crate) does; here without branches or a look at the processor for every single number.

use std::ops::{Add, Div, Mul, Sub};

use candle_core::{CpuStorage, WithDType};
use half::{bf16, f16};

/// The smallest normal `f16`, 2^-14.
const F16_MIN_NORMAL: f32 = 1.0 / 16_384.0;
/// One more than the largest `f16` after rounding.
const F16_OVERFLOW: f32 = 65_536.0;
/// 2^112: the difference of the exponent biases of `f32` and `f16`.
const F16_REBIAS: f32 = f32::from_bits((112 + 127) << 23);
/// Adding it to a number below 2^-14 leaves a multiple of 2^-24, the smallest `f16`, rounded to nearest even.
const F16_SUBNORMAL: f32 = 0.5;

const SIGN: u32 = 0x8000_0000;
const QUIET: u32 = 0x0040_0000;
const INFINITY: u32 = 0x7F80_0000;

/// The number type that arithmetic is done in.
pub(super) trait Wide:
    Copy + Send + Sync + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    const ZERO: Self;
    fn root(self) -> Self;
    /// 1, -1 or 0, and 0 for NaN, as candle and PyTorch have it.
    fn sign(self) -> Self;
    /// The larger of two numbers, or NaN if one is NaN.
    fn or_larger(self, other: Self) -> Self;
}

/// An element type with a fused path.
pub(super) trait Element: WithDType {
    type Wide: Wide;

    fn widen(self) -> Self::Wide;
    /// The nearest number that `Self` can represent.
    fn round(wide: Self::Wide) -> Self::Wide;
    /// A rounded number as `Self`.
    fn narrow(rounded: Self::Wide) -> Self;
    /// All elements of a storage of this type.
    fn all_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

/// A number that is rounded to the precision of `T` after every operation.
#[derive(Clone, Copy)]
pub(super) struct Num<T: Element>(T::Wide);

impl<T: Element> Num<T> {
    pub(super) fn of(element: T) -> Self {
        Self(element.widen())
    }

    /// A constant, rounded once, as candle rounds the scalars of an operation.
    pub(super) fn scalar(value: f64) -> Self {
        Self::of(T::from_f64(value))
    }

    pub(super) fn get(self) -> T {
        T::narrow(self.0)
    }

    /// The result of `tensor * scalar` in candle: an affine map, whose `+ 0` turns -0 into 0 and needs no rounding.
    pub(super) fn scaled(self, scalar: Self) -> Self {
        Self((self * scalar).0 + T::Wide::ZERO)
    }

    /// The result of `tensor + scalar` in candle: an affine map, whose factor of one changes nothing.
    pub(super) fn shifted(self, scalar: Self) -> Self {
        self + scalar
    }

    pub(super) fn sqrt(self) -> Self {
        Self(T::round(self.0.root()))
    }

    /// 1, -1 or 0, and 0 for NaN.
    pub(super) fn sign(self) -> Self {
        Self(self.0.sign())
    }

    /// The larger of two numbers, or NaN if one is NaN.
    pub(super) fn or_larger(self, other: Self) -> Self {
        Self(self.0.or_larger(other.0))
    }
}

impl<T: Element> Add for Num<T> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(T::round(self.0 + other.0))
    }
}

impl<T: Element> Sub for Num<T> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(T::round(self.0 - other.0))
    }
}

impl<T: Element> Mul for Num<T> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(T::round(self.0 * other.0))
    }
}

impl<T: Element> Div for Num<T> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        Self(T::round(self.0 / other.0))
    }
}

macro_rules! full_precision {
    ($type:ty, $variant:ident) => {
        impl Wide for $type {
            const ZERO: Self = 0.0;
            #[inline]
            fn root(self) -> Self {
                self.sqrt()
            }
            #[inline]
            fn sign(self) -> Self {
                if self > 0.0 {
                    1.0
                } else if self < 0.0 {
                    -1.0
                } else {
                    0.0
                }
            }
            #[inline]
            fn or_larger(self, other: Self) -> Self {
                if other > self || other.is_nan() {
                    other
                } else {
                    self
                }
            }
        }

        impl Element for $type {
            type Wide = Self;
            #[inline]
            fn widen(self) -> Self {
                self
            }
            #[inline]
            fn round(wide: Self) -> Self {
                wide
            }
            #[inline]
            fn narrow(rounded: Self) -> Self {
                rounded
            }
            fn all_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(elements) => Some(elements),
                    _ => None,
                }
            }
        }
    };
}

full_precision!(f32, F32);
full_precision!(f64, F64);

impl Element for bf16 {
    type Wide = f32;

    #[inline]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline]
    fn round(wide: f32) -> f32 {
        let bits = wide.to_bits();
        let nearest_even = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1));
        let kept = if wide.is_nan() { bits | QUIET } else { nearest_even };
        f32::from_bits(kept & 0xFFFF_0000)
    }

    #[inline]
    fn narrow(rounded: f32) -> Self {
        Self::from_bits((rounded.to_bits() >> 16) as u16)
    }

    fn all_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::BF16(elements) => Some(elements),
            _ => None,
        }
    }
}

impl Element for f16 {
    type Wide = f32;

    #[inline]
    fn widen(self) -> f32 {
        let bits = u32::from(self.to_bits());
        let magnitude = (bits & 0x7FFF) << 13;
        let finite = (f32::from_bits(magnitude) * F16_REBIAS).to_bits();
        let wide = if magnitude < 0x7C00 << 13 {
            finite
        } else {
            magnitude | INFINITY
        };
        f32::from_bits(wide | (bits & 0x8000) << 16)
    }

    #[inline]
    fn round(wide: f32) -> f32 {
        let bits = wide.to_bits() & !SIGN;
        let magnitude = f32::from_bits(bits);
        let nearest_even = f32::from_bits(bits.wrapping_add(0x0FFF + ((bits >> 13) & 1)) & !0x1FFF);
        let normal = if nearest_even >= F16_OVERFLOW {
            f32::INFINITY
        } else {
            nearest_even
        };
        let subnormal = (magnitude + F16_SUBNORMAL) - F16_SUBNORMAL;
        let number = if magnitude < F16_MIN_NORMAL { subnormal } else { normal };
        let rounded = if wide.is_nan() {
            (bits | QUIET) & !0x1FFF
        } else {
            number.to_bits()
        };
        f32::from_bits(rounded | (wide.to_bits() & SIGN))
    }

    #[inline]
    fn narrow(rounded: f32) -> Self {
        let bits = rounded.to_bits() & !SIGN;
        let magnitude = f32::from_bits(bits);
        let subnormal = (magnitude + F16_SUBNORMAL)
            .to_bits()
            .wrapping_sub(F16_SUBNORMAL.to_bits());
        let normal = bits.wrapping_sub(112 << 23) >> 13;
        let finite = if magnitude < F16_MIN_NORMAL { subnormal } else { normal };
        let half = if bits < INFINITY {
            finite
        } else {
            0x7C00 | (bits & !INFINITY) >> 13
        };
        Self::from_bits((half & 0x7FFF) as u16 | (rounded.to_bits() >> 16) as u16 & 0x8000)
    }

    fn all_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F16(elements) => Some(elements),
            _ => None,
        }
    }
}
