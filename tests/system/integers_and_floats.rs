//! Integers and floats serve as each other where nothing is lost, and only there.
#![expect(
    clippy::needless_pass_by_value,
    reason = "values read better where the types are named"
)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use fabric_core::{Checkpoint, MismatchKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::states::{PATH, fabric, mismatched};

#[derive(Checkpoint)]
struct Plain<T> {
    value: T,
}

#[derive(Checkpoint)]
struct Meta<T: Serialize + DeserializeOwned> {
    #[checkpoint(metadata)]
    value: T,
}

/// Saves one type and loads another: as a plain value, as metadata, and as `raw.value`.
#[track_caller]
fn plain<A, B>(from: A, into: B) -> Option<B>
where
    A: Checkpoint + Serialize + DeserializeOwned + Debug + Clone,
    B: Checkpoint + Serialize + DeserializeOwned + Debug + Clone + PartialEq,
{
    let what = format!("{from:?} into {}", std::any::type_name::<B>());
    let fabric = fabric();
    fabric.save(PATH, &Plain { value: from.clone() }).unwrap();
    let mut live = Plain { value: into.clone() };
    let found = match fabric.load(PATH, &mut live) {
        Ok(_) => Some(live.value),
        Err(error) => {
            assert_eq!(
                mismatched(error.report().unwrap()),
                [("value", MismatchKind::Type)],
                "{error}"
            );
            assert!(live.value == into, "{what}: a refused load changed the value");
            None
        }
    };
    let raw = fabric.open(PATH).unwrap().value::<B>("value").ok();
    assert_eq!(format!("{raw:?}"), format!("{found:?}"), "{what}: raw.value differs");
    assert_eq!(
        format!("{:?}", meta(&from, into)),
        format!("{found:?}"),
        "{what}: metadata differs"
    );
    found
}

/// Saves one type as metadata and loads another.
#[track_caller]
fn meta<A, B>(from: &A, into: B) -> Option<B>
where
    A: Serialize + DeserializeOwned + Clone,
    B: Serialize + DeserializeOwned,
{
    let fabric = fabric();
    fabric.save(PATH, &Meta { value: from.clone() }).unwrap();
    let mut live = Meta { value: into };
    fabric.load(PATH, &mut live).ok().map(|_| live.value)
}

#[test]
fn an_integer_that_a_float_holds_exactly_is_that_float() {
    assert_eq!(plain(7u64, 0f64), Some(7.));
    assert_eq!(plain(-3i8, 0f32), Some(-3.));
    assert_eq!(plain(1u64 << 53, 0f64), Some(9_007_199_254_740_992.));
    assert_eq!(plain((1u64 << 53) + 1, 0f64), None);
    assert_eq!(plain((1u64 << 53) + 2, 0f64), Some(9_007_199_254_740_994.));
    assert_eq!(plain(u64::MAX, 0f64), None);
    assert_eq!(plain(i64::MIN, 0f64), Some(-9_223_372_036_854_775_808.));
    assert_eq!(plain(16_777_216u32, 0f32), Some(16_777_216.));
    assert_eq!(plain(16_777_217u32, 0f32), None);
    assert_eq!(plain(u128::MAX, 0f64), None);
    assert_eq!(plain(i128::MAX, 0f64), None);
    assert_eq!(plain(1u128 << 127, 0f64), Some(2f64.powi(127)));
    assert_eq!(plain(i128::MIN, 0f32), Some(-(2f32.powi(127))));
}

#[test]
fn a_float_without_a_fraction_is_that_integer() {
    assert_eq!(plain(7f64, 0u64), Some(7));
    assert_eq!(plain(-0f64, 0u8), Some(0));
    assert_eq!(plain(255f32, 0u8), Some(255));
    assert_eq!(plain(256f32, 0u8), None);
    assert_eq!(plain(-1f64, 0u64), None);
    assert_eq!(plain(-1f64, 0i64), Some(-1));
    assert_eq!(plain(3.5f64, 0u64), None);
    assert_eq!(plain(1e300f64, 0u128), None);
    assert_eq!(plain(2f64.powi(64), 0u64), None);
    assert_eq!(plain(2f64.powi(127), 0u128), Some(1 << 127));
    assert_eq!(plain(-(2f64.powi(127)), 0i128), Some(i128::MIN));
    assert_eq!(plain(2f64.powi(127), 0i128), None);
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(plain(odd, 0i128), None);
    }
}

#[test]
fn a_float_is_rounded_to_the_precision_of_the_field_and_refused_out_of_its_range() {
    assert_eq!(plain(0.1f64, 0f32), Some(0.1f32));
    assert_eq!(plain(0.1f32, 0f64), Some(f64::from(0.1f32)));
    assert_eq!(plain(1e300f64, 0f32), None);
    assert_eq!(plain(-1e300f64, 0f32), None);
    assert_eq!(plain(f64::from(f32::MAX), 0f32), Some(f32::MAX));
    assert_eq!(plain(1e-300f64, 1f32), Some(0.));
    assert_eq!(plain(f64::INFINITY, 0f32), Some(f32::INFINITY));
    assert_eq!(plain(f64::NEG_INFINITY, 0f32), Some(f32::NEG_INFINITY));
    let fabric = fabric();
    fabric.save(PATH, &Plain { value: f64::NAN }).unwrap();
    let mut live = Plain { value: 0f32 };
    fabric.load(PATH, &mut live).unwrap();
    assert!(live.value.is_nan());
}

#[test]
fn a_bool_is_no_number_and_a_number_no_bool() {
    assert_eq!(plain(true, 0u8), None);
    assert_eq!(plain(true, 0f64), None);
    assert_eq!(plain(1u8, false), None);
    assert_eq!(plain(1f64, false), None);
}

#[test]
fn numbers_inside_of_containers_follow_the_same_rule() {
    assert_eq!(plain(vec![1u32, 2], vec![0f64]), Some(vec![1., 2.]));
    assert_eq!(plain(vec![1f64, 2.], [0u8; 2].to_vec()), Some(vec![1, 2]));
    assert_eq!(plain(vec![1f64, 2.5], vec![0u8]), None);
    assert_eq!(plain(Some(3u8), None::<f32>), Some(Some(3.)));
    assert_eq!(plain((1u8, 2.5f32), (0f64, 0f64)), Some((1., 2.5)));
    let map = |value: u64| BTreeMap::from([("a".to_owned(), value)]);
    let floats = BTreeMap::from([("a".to_owned(), 4f64)]);
    assert_eq!(plain(map(4), floats.clone()), Some(floats.clone()));
    assert_eq!(plain(map((1 << 53) + 1), floats), None);
    let numbered = HashMap::from([(1u32, 2u64)]);
    assert_eq!(
        meta(&numbered, HashMap::<u64, f64>::new()),
        Some(HashMap::from([(1, 2.)]))
    );
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Inner<F, I> {
    rate: F,
    steps: I,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Schedule<F> {
    Constant(F),
    Cosine { peak: F, low: F },
    Steps(F, F),
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Outer<F, I> {
    inner: Option<Box<Inner<F, I>>>,
    schedule: Vec<Schedule<F>>,
}

#[test]
fn numbers_inside_of_structs_and_enums_follow_the_same_rule() {
    fn outer<F: Copy, I>(number: F, steps: I) -> Outer<F, I> {
        Outer {
            inner: Some(Box::new(Inner { rate: number, steps })),
            schedule: vec![
                Schedule::Constant(number),
                Schedule::Cosine {
                    peak: number,
                    low: number,
                },
                Schedule::Steps(number, number),
            ],
        }
    }
    assert_eq!(meta(&outer(2u8, 3f64), outer(0f32, 0u64)), Some(outer(2f32, 3)));
    assert_eq!(meta(&outer(2f64, 3u8), outer(0i16, 0f64)), Some(outer(2, 3.)));
    assert_eq!(meta(&outer(1e300f64, 3u8), outer(0f32, 0u8)), None);
    assert_eq!(meta(&outer(2.5f64, 3u8), outer(0u8, 0u8)), None);
    assert_eq!(meta(&outer((1u64 << 53) + 1, 3u8), outer(0f64, 0u8)), None);
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Flat<F, I> {
    name: String,
    #[serde(flatten)]
    inner: Inner<F, I>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind")]
enum Tagged<F> {
    Warm { rate: F, kept: f64 },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(untagged)]
enum Untagged<F> {
    Both { low: F, high: F },
    One(F),
}

#[test]
fn numbers_that_serde_buffers_follow_the_same_rule() {
    fn flat<F, I>(rate: F, steps: I) -> Flat<F, I> {
        Flat {
            name: "a".to_owned(),
            inner: Inner { rate, steps },
        }
    }
    assert_eq!(meta(&flat(2u8, 3f64), flat(0f32, 0u64)), Some(flat(2., 3)));
    assert_eq!(meta(&flat(2.5f64, 3f64), flat(0f32, 0u64)), Some(flat(2.5, 3)));
    assert_eq!(meta(&flat(2f64, 3.5f64), flat(0f32, 0u64)), None);
    assert_eq!(meta(&flat(1e300f64, 1u8), flat(0f32, 0u8)), None);
    assert_eq!(meta(&flat(-1e300f64, 1u8), flat(0f32, 0u8)), None);
    assert_eq!(meta(&flat(1e300f64, 1u8), flat(0f64, 0u8)), Some(flat(1e300, 1)));
    assert_eq!(
        meta(&flat(f64::INFINITY, 1u8), flat(0f32, 0u8)),
        Some(flat(f32::INFINITY, 1))
    );
    assert_eq!(meta(&flat((1u64 << 53) + 1, 1u8), flat(0f64, 0u8)), None);
    assert_eq!(meta(&flat((1u64 << 24) + 1, 1u8), flat(0f32, 0u8)), None);
    let large = (1u64 << 53) + 1;
    assert_eq!(meta(&flat(large, 1u8), flat(0u64, 0u8)), Some(flat(large, 1)));

    let warm = |rate: f64| Tagged::Warm { rate, kept: 1e300 };
    let narrow = |rate: f32| Tagged::Warm { rate, kept: 1e300 };
    assert_eq!(
        meta(&warm(0.5), narrow(0.)),
        Some(narrow(0.5)),
        "one field is rounded, the other holds it"
    );
    assert_eq!(meta(&warm(1e200), narrow(0.)), None);
    assert_eq!(
        meta(&Tagged::Warm { rate: 3u8, kept: 1. }, narrow(0.)),
        Some(Tagged::Warm { rate: 3., kept: 1. })
    );

    assert_eq!(meta(&Untagged::One(3f64), Untagged::One(0u8)), Some(Untagged::One(3)));
    assert_eq!(meta(&Untagged::One(3u8), Untagged::One(0f64)), Some(Untagged::One(3.)));
    let both = |low, high| Untagged::Both { low, high };
    assert_eq!(
        meta(&both(1f64, 2.), Untagged::Both { low: 0u8, high: 0 }),
        Some(Untagged::Both { low: 1, high: 2 })
    );
    assert_eq!(meta(&both(1f64, 1e300), Untagged::One(0f32)), None);
}

#[test]
fn what_has_no_type_of_its_own_stays_what_it_was() {
    let json = serde_json::json!({"whole": 3.0, "integer": 3, "large": u64::MAX, "none": null});
    let fabric = fabric();
    fabric.save(PATH, &Meta { value: json.clone() }).unwrap();
    let mut live = Meta {
        value: serde_json::Value::Null,
    };
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(live.value.to_string(), json.to_string());
    let raw = fabric.open(PATH).unwrap();
    assert_eq!(
        raw.value::<serde_json::Value>("value").unwrap().to_string(),
        json.to_string()
    );
    assert_eq!(raw.value::<f64>("value.integer").unwrap(), 3.0);
    assert_eq!(raw.value::<u8>("value.whole").unwrap(), 3);
}

#[test]
fn a_refusal_says_what_was_found_and_what_would_have_fitted() {
    fn refusal<A: Checkpoint, B: Checkpoint>(from: A, into: B) -> String {
        let fabric = fabric();
        fabric.save(PATH, &Plain { value: from }).unwrap();
        fabric.load(PATH, &mut Plain { value: into }).unwrap_err().to_string()
    }
    for (text, said) in [
        (
            refusal(1e300, 0f32),
            "value: found float 1e300, expected a number in the range of f32",
        ),
        (
            refusal(u64::MAX, 0f64),
            "value: found integer 18446744073709551615, expected an integer that f64 holds exactly",
        ),
        (refusal(3.5, 0u64), "value: found float 3.5, expected an integer"),
        (refusal(300, 0u8), "value: found integer 300, expected u8"),
    ] {
        assert!(text.contains(said), "{said:?} is not in: {text}");
    }
}
