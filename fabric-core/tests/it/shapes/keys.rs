//! Keys of maps: integers, `bool`, `char`, texts, and types of a program.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::Tensor;
use fabric_core::{Error, MapKey, StateError};
use testkit::states::{PATH, fabric, tensor};

use super::{One, comes_back, names, why_refused, why_unsaved};

#[test]
fn every_key_comes_back_in_a_map_of_values() {
    macro_rules! numbers {
        ($($number:ty),*) => {$(
            comes_back(&BTreeMap::from([(<$number>::MAX, 1u8), (<$number>::MIN, 2)]), BTreeMap::new());
            comes_back(&HashMap::from([(<$number>::MAX, 1u8), (<$number>::MIN, 2)]), HashMap::new());
            comes_back(&BTreeMap::from([(NonZero::<$number>::MAX, 1u8)]), BTreeMap::new());
        )*};
    }
    numbers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
    comes_back(&BTreeMap::from([(true, 1u8), (false, 2)]), BTreeMap::new());
    comes_back(&BTreeMap::from([('.', 1u8), ('ß', 2)]), BTreeMap::new());
    comes_back(
        &BTreeMap::from([(String::new(), 1u8), ("a.b".into(), 2)]),
        BTreeMap::new(),
    );
    comes_back(&BTreeMap::from([(Box::<str>::from("a"), 1u8)]), BTreeMap::new());
    comes_back(&BTreeMap::from([(Arc::<str>::from("a"), 1u8)]), BTreeMap::new());
    comes_back(&BTreeMap::from([(Rc::<str>::from("a"), 1u8)]), BTreeMap::new());
    comes_back(&BTreeMap::from([(Cow::Borrowed("a"), 1u8)]), BTreeMap::new());
}

#[test]
fn every_key_names_the_parts_of_a_map_of_components() {
    fn named<K: MapKey + Ord>(keys: impl IntoIterator<Item = K>) -> Vec<String> {
        names(
            keys.into_iter()
                .map(|key| (key, tensor(1, 1)))
                .collect::<BTreeMap<_, _>>(),
        )
    }
    assert_eq!(named([-1i8, 7]), ["value.-1", "value.7"]);
    assert_eq!(named([u128::MAX]), ["value.340282366920938463463374607431768211455"]);
    assert_eq!(named([true, false]), ["value.false", "value.true"]);
    assert_eq!(named(['a', 'ß']), ["value.a", "value.ß"]);
    assert_eq!(named([Arc::<str>::from("left")]), ["value.left"]);
}

/// A key whose text has two forms, only one of which it writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Phase(u8);

impl MapKey for Phase {
    fn text(&self) -> Cow<'_, str> {
        format!("phase-{}", self.0).into()
    }

    fn of_text(text: &str) -> Option<Self> {
        text.strip_prefix("phase-")?.parse().ok().map(Self)
    }
}

#[test]
fn a_key_type_of_a_program_names_parts_and_comes_back() {
    comes_back(&HashMap::from([(Phase(1), 0.5), (Phase(2), 0.25)]), HashMap::new());
    assert_eq!(names(HashMap::from([(Phase(7), tensor(1, 1))])), ["value.phase-7"]);
}

#[test]
fn a_key_that_is_none_of_the_type_is_refused_by_its_text_and_the_type() {
    let map = |key: &str| BTreeMap::from([(key.to_owned(), 1u8)]);
    let why = |key: &str| why_refused(map(key), HashMap::from([(3u32, 9u8)]));
    assert!(why("abc").contains("key `abc` is no `u32`"), "{}", why("abc"));
    for other in ["-1", "+3", "03", " 3", "3.0", "", "4294967296"] {
        assert!(
            why(other).contains(&format!("key `{other}` is no `u32`")),
            "{}",
            why(other)
        );
    }
    let phases = why_refused(map("stage-1"), BTreeMap::from([(Phase(1), 9u8)]));
    assert!(phases.contains("key `stage-1` is no `Phase`"), "{phases}");
    let flags = why_refused(map("yes"), BTreeMap::from([(true, 9u8)]));
    assert!(flags.contains("key `yes` is no `bool`"), "{flags}");
    let letters = why_refused(map("ab"), BTreeMap::from([('a', 9u8)]));
    assert!(letters.contains("key `ab` is no `char`"), "{letters}");
}

#[test]
fn two_texts_of_one_key_are_refused() {
    let stored = BTreeMap::from([("phase-1".to_owned(), 1u8), ("phase-01".to_owned(), 2)]);
    let why = why_refused(stored, BTreeMap::from([(Phase(3), 9u8)]));
    assert!(why.contains("key `phase-1` is there twice"), "{why}");
}

/// A key type with a mistake: two keys have one text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Rounded(u32);

impl MapKey for Rounded {
    fn text(&self) -> Cow<'_, str> {
        (self.0 / 10 * 10).to_string().into()
    }

    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

#[test]
fn two_keys_with_one_text_are_refused_by_the_save() {
    let keys = [Rounded(10), Rounded(11), Rounded(30)];
    let values: BTreeMap<_, _> = keys.iter().cloned().map(|key| (key, 1u8)).collect();
    let why = why_unsaved(values.clone());
    assert!(why.contains("value `value` has the key text \"10\" twice"), "{why}");
    why_unsaved(indexmap::IndexMap::<_, _>::from_iter(values));
    let tensors: HashMap<_, _> = keys.into_iter().map(|key| (key, tensor(1, 1))).collect();
    let error = fabric().save(PATH, &One { value: tensors }).unwrap_err();
    assert!(
        matches!(&error, Error::State(StateError::Duplicate(name)) if name == "value.10"),
        "{error}"
    );
}

/// A key that is ordered backwards, and by its first letter alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Backwards(&'static str);

impl MapKey for Backwards {
    fn text(&self) -> Cow<'_, str> {
        self.0.into()
    }

    fn of_text(_: &str) -> Option<Self> {
        None
    }

    fn order(&self, other: &Self) -> Ordering {
        other.0[..1].cmp(&self.0[..1])
    }
}

#[test]
fn a_hash_map_shows_its_parts_in_the_order_of_its_keys() {
    fn order<K: MapKey + Eq + std::hash::Hash>(keys: impl IntoIterator<Item = K>) -> Vec<String> {
        let parts = keys.into_iter().map(|key| {
            (
                key,
                candle_core::Var::zeros(1, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap(),
            )
        });
        let named = fabric_core::named_parameters(&parts.collect::<HashMap<_, _>>());
        named.into_iter().map(|(name, _)| name).collect()
    }
    assert_eq!(order([10u32, 9, 100]), ["9", "10", "100"]);
    assert_eq!(order([-10i64, 9, -100]), ["-100", "-10", "9"]);
    assert_eq!(order(["b".to_owned(), "a".into()]), ["a", "b"]);
    let backwards = ["aa", "ab", "ac", "ad", "b"].map(Backwards);
    assert_eq!(order(backwards), ["b", "aa", "ab", "ac", "ad"]);
}

#[test]
fn a_key_that_is_no_name_is_refused_in_a_map_of_components() {
    let why = |key| why_unsaved(BTreeMap::<char, Tensor>::from([(key, tensor(1, 1))]));
    for key in ['.', '\n'] {
        assert!(why(key).contains("entry name"), "{}", why(key));
    }
}
