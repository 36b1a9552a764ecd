//! Values: each is one entry, which a load replaces whole.

use std::borrow::Cow;
use std::num::{NonZero, Saturating, Wrapping};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use candle_core::DType;
use half::{bf16, f16};

use super::{comes_back, loaded, names};

#[test]
fn every_value_comes_back_where_another_one_was() {
    comes_back(&Duration::new(7, 999_999_999), Duration::ZERO);
    comes_back(&Duration::MAX, Duration::from_nanos(1));
    comes_back(
        &(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)),
        SystemTime::UNIX_EPOCH,
    );
    comes_back(&PathBuf::from("runs/größe/last.ckpt"), PathBuf::new());
    comes_back(&DType::BF16, DType::F32);
    comes_back(&Box::<str>::from("a"), "bc".into());
    comes_back(&Arc::<str>::from("a"), "bc".into());
    comes_back(&Rc::<str>::from("a"), "bc".into());
    comes_back(&Cow::<'static, str>::Owned("a".into()), Cow::Borrowed("bc"));
    comes_back(&Cow::<'static, [f32]>::Owned(vec![0.5]), Cow::Borrowed(&[]));
    comes_back(&Wrapping(7u32), Wrapping(0));
    comes_back(&Saturating(-7i64), Saturating(0));
    comes_back(&f16::from_f32(0.1), f16::ZERO);
    comes_back(&bf16::from_f32(0.1), bf16::ZERO);
}

#[test]
fn every_width_of_a_number_without_zero_comes_back_at_its_limits() {
    macro_rules! limits {
        ($($number:ty),*) => {$(
            let one = NonZero::<$number>::new(1).unwrap();
            comes_back(&NonZero::<$number>::MAX, one);
            comes_back(&one, NonZero::<$number>::MAX);
        )*};
    }
    limits!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
    comes_back(&NonZero::<i128>::MIN, NonZero::<i128>::MAX);
}

#[test]
fn every_half_comes_back_bit_for_bit() {
    for bits in 0..=u16::MAX {
        // The processor may set the bit that makes a signalling NaN quiet, as it does for `f32`.
        let half = f16::from_bits(bits);
        let quiet = if half.is_nan() { bits | 0x0200 } else { bits };
        let brain = bf16::from_bits(bits);
        let quiet_brain = if brain.is_nan() { bits | 0x0040 } else { bits };
        if bits % 251 == 0 || half.is_nan() && bits % 16 == 0 || !half.is_finite() && bits % 0x400 == 0 {
            assert_eq!(loaded(half, f16::ONE).to_bits(), quiet, "{bits:#06x}");
            assert_eq!(loaded(brain, bf16::ONE).to_bits(), quiet_brain, "{bits:#06x}");
        }
    }
}

#[test]
fn a_half_becomes_a_wider_float_and_a_wider_float_a_half() {
    use super::{One, PATH, fabric};
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &One {
                value: f16::from_f32(1.5),
            },
        )
        .unwrap();
    let mut wider = One { value: 0f32 };
    fabric.load(PATH, &mut wider).unwrap();
    assert_eq!(wider.value.to_bits(), 1.5f32.to_bits());
    let mut brain = One { value: bf16::ZERO };
    fabric.load(PATH, &mut brain).unwrap();
    assert_eq!(brain.value, bf16::from_f32(1.5));
}

#[test]
fn every_dtype_is_stored_by_its_name() {
    use super::{One, PATH, fabric};
    let dtypes = [
        (DType::U8, "u8"),
        (DType::U32, "u32"),
        (DType::I16, "i16"),
        (DType::I32, "i32"),
        (DType::I64, "i64"),
        (DType::BF16, "bf16"),
        (DType::F16, "f16"),
        (DType::F32, "f32"),
        (DType::F64, "f64"),
        (DType::F8E4M3, "f8e4m3"),
        (DType::F6E2M3, "f6e2m3"),
        (DType::F6E3M2, "f6e3m2"),
        (DType::F4, "f4"),
        (DType::F8E8M0, "f8e8m0"),
    ];
    for (dtype, name) in dtypes {
        let other = if dtype == DType::U8 { DType::F32 } else { DType::U8 };
        comes_back(&dtype, other);
        let fabric = fabric();
        fabric.save(PATH, &One { value: dtype }).unwrap();
        assert_eq!(fabric.open(PATH).unwrap().value::<String>("value").unwrap(), name);
    }
}

#[test]
fn a_value_is_one_entry_under_the_name_of_its_field() {
    assert_eq!(names(Duration::ZERO), ["value"]);
    assert_eq!(names(DType::F32), ["value"]);
    assert_eq!(names(Arc::<str>::from("a")), ["value"]);
    assert_eq!(names(Wrapping(1u8)), ["value"]);
}

#[test]
fn a_load_gives_a_shared_text_to_its_own_field_alone() {
    let shared = Arc::<str>::from("before");
    let found = loaded(Arc::<str>::from("after"), shared.clone());
    assert_eq!((&*found, &*shared), ("after", "before"));
}
