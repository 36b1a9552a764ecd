//! Values that are none of the type of the field: the load names them and changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use candle_core::DType;
use fabric_core::Checkpoint;
use half::{bf16, f16};
use serde::{Deserialize, Serialize, Serializer};
use testkit::states::{PATH, fabric};

use super::{One, why_refused, why_unsaved};

#[test]
fn a_value_of_another_type_is_refused_and_changes_nothing() {
    why_refused("soon".to_owned(), Duration::from_secs(1));
    why_refused(7u64, SystemTime::UNIX_EPOCH);
    why_refused(7u64, PathBuf::from("a"));
    why_refused(7u64, Arc::<str>::from("a"));
    why_refused(7u64, DType::F32);
    why_refused("x".to_owned(), NonZero::<u8>::MIN);
    why_refused("x".to_owned(), f16::ONE);
    why_refused(7u64, BTreeSet::from([1u8]));
    why_refused(7u64, vec![()]);
    why_refused(vec![1u8], HashSet::from(["a".to_owned()]));
    why_refused(vec![1u8], BTreeMap::from([(1u32, 2u8)]));
    why_refused(BTreeMap::from([(1u32, "x".to_owned())]), BTreeMap::from([(1u32, 2u8)]));
    why_refused(vec![1u8, 2], (1u8, 2u8, 3u8));
    why_refused(vec![Some(7u8)], vec![()]);
}

#[test]
fn zero_is_refused_by_a_number_without_zero() {
    let why = why_refused(0u8, NonZero::<u32>::MIN);
    assert!(why.contains('0') && why.contains("nonzero u32"), "{why}");
    let why = why_refused(
        BTreeMap::from([(0u8, 1u8)]),
        BTreeMap::from([(NonZero::<u8>::MIN, 1u8)]),
    );
    assert!(why.contains("key `0` is no `NonZero<u8>`"), "{why}");
}

#[test]
fn a_dtype_that_does_not_exist_is_refused_by_its_name() {
    let why = why_refused("f31".to_owned(), DType::F32);
    assert!(why.contains("`f31` is no dtype of candle"), "{why}");
}

#[test]
fn a_half_refuses_integers_and_numbers_out_of_its_range() {
    let why = why_refused(15360u16, f16::ONE);
    assert!(why.contains("integer 15360"), "{why}");
    let why = why_refused(65520f64, f16::ONE);
    assert!(why.contains("in the range of f16"), "{why}");
    why_refused(f64::MAX, bf16::ONE);
    why_refused(7u64, bf16::ONE);
}

/// Bytes that are no text.
struct Raw;

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(b"\xff\xfe")
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

#[test]
fn bytes_that_are_no_path_are_refused() {
    #[derive(Checkpoint)]
    struct Marked {
        #[checkpoint(metadata)]
        value: Raw,
    }
    let fabric = fabric();
    fabric.save(PATH, &Marked { value: Raw }).unwrap();
    let mut live = One {
        value: PathBuf::from("a"),
    };
    let error = fabric.load(PATH, &mut live).unwrap_err().to_string();
    assert!(error.contains("value: found 2 raw bytes, expected text"), "{error}");
    assert_eq!(live.value, PathBuf::from("a"));
}

#[test]
fn a_time_before_1970_is_refused_by_the_save() {
    let why = why_unsaved(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
    assert!(why.contains("value `value`") && why.contains("UNIX_EPOCH"), "{why}");
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_refused_by_the_save() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let why = why_unsaved(PathBuf::from(OsStr::from_bytes(b"a\xff")));
    assert!(why.contains("value `value`") && why.contains("UTF-8"), "{why}");
}
