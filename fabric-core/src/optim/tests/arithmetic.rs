use half::{bf16, f16};

use crate::optim::element::{Element, Num};

/// Every exponent and both signs, with mantissas that lie on, below and above the ties of both half types.
fn wide_numbers() -> impl Iterator<Item = f32> {
    let mantissas = (0..0x80_0000u32).step_by(0x800);
    let all = mantissas.flat_map(|mantissa| [mantissa, mantissa + 1, mantissa.wrapping_sub(1) & 0x7F_FFFF]);
    all.flat_map(|mantissa| (0..512u32).map(move |exponent| f32::from_bits(exponent << 23 | mantissa)))
}

#[test]
fn bf16_rounds_as_half_does() {
    for wide in wide_numbers() {
        let rounded = bf16::narrow(bf16::round(wide)).to_bits();
        assert_eq!(
            rounded,
            bf16::from_f32_const(wide).to_bits(),
            "{wide:e} {:#x}",
            wide.to_bits()
        );
    }
}

#[test]
fn f16_rounds_as_half_does() {
    for wide in wide_numbers() {
        let rounded = f16::narrow(f16::round(wide)).to_bits();
        assert_eq!(
            rounded,
            f16::from_f32_const(wide).to_bits(),
            "{wide:e} {:#x}",
            wide.to_bits()
        );
    }
}

#[test]
fn every_half_number_survives_being_widened() {
    for bits in 0..=u16::MAX {
        assert_eq!(bf16::narrow(bf16::from_bits(bits).widen()).to_bits(), bits);
        assert_eq!(f16::narrow(f16::from_bits(bits).widen()).to_bits(), bits);
        let (ours, halfs) = (f16::from_bits(bits).widen(), f16::from_bits(bits).to_f32_const());
        assert!(
            ours.to_bits() == halfs.to_bits() || (ours.is_nan() && halfs.is_nan()),
            "{bits:#x}"
        );
    }
}

#[test]
fn a_number_scaled_to_negative_zero_is_zero_as_in_an_affine_map() {
    let zero = Num::of(-0.0f32).scaled(Num::scalar(3.0)).get();
    assert_eq!(zero.to_bits(), 0);
}
