//! Plain values: one entry each, replaced whole; containers of them too.

use std::collections::{BTreeMap, HashMap};

use candle_core::Tensor;
use fabric_core::{Checkpoint, Fabric, LoadOptions, MismatchKind};

use crate::states::{PATH, fabric, mismatched, refused, tensor};

#[derive(Checkpoint)]
struct One<T> {
    value: T,
}

fn round_trip<T: Checkpoint>(fabric: &Fabric, saved: T, live: T) -> T {
    fabric.save(PATH, &One { value: saved }).unwrap();
    let mut live = One { value: live };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    live.value
}

#[test]
fn every_number_comes_back_at_its_limits() {
    let fabric = fabric();
    macro_rules! limits {
        ($($number:ty),*) => {$(
            assert_eq!(round_trip(&fabric, <$number>::MAX, 0), <$number>::MAX);
            assert_eq!(round_trip(&fabric, <$number>::MIN, 1), <$number>::MIN);
        )*};
    }
    limits!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
    let floats = [
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        0.1,
    ];
    for float in floats {
        assert_eq!(round_trip(&fabric, float, 1.).to_bits(), float.to_bits(), "{float}");
    }
    for float in [
        f32::MAX,
        f32::MIN_POSITIVE,
        1e-45,
        -0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.1,
    ] {
        assert_eq!(round_trip(&fabric, float, 1.).to_bits(), float.to_bits(), "{float}");
    }
}

#[test]
fn texts_and_flags_come_back() {
    let fabric = fabric();
    for text in ["", "größe 🦀", "a\0b\n\"c\"", "\u{202e}right to left"] {
        assert_eq!(round_trip(&fabric, text.to_owned(), "x".into()), text);
    }
    assert_eq!(
        round_trip(&fabric, "long ".repeat(100_000), String::new()).len(),
        500_000
    );
    assert_eq!(round_trip(&fabric, '🦀', 'x'), '🦀');
    assert!(round_trip(&fabric, true, false));
}

#[test]
fn a_container_of_plain_values_is_replaced_whatever_its_length() {
    let fabric = fabric();
    assert_eq!(round_trip(&fabric, vec![0.5f32, 0.25], vec![1.; 100]), [0.5, 0.25]);
    assert_eq!(round_trip(&fabric, Vec::<f32>::new(), vec![1.]), [0f32; 0]);
    assert_eq!(round_trip(&fabric, vec![1u8; 100], vec![]).len(), 100);
    assert_eq!(round_trip(&fabric, vec![vec![1i64], vec![]], vec![]), [vec![1], vec![]]);
    let scores = HashMap::from([("dev".to_owned(), 0.5f64), ("test".to_owned(), 0.75)]);
    assert_eq!(
        round_trip(&fabric, scores.clone(), HashMap::from([("old".to_owned(), 1.)])),
        scores
    );
    assert_eq!(
        round_trip(
            &fabric,
            (1u64, "x".to_owned(), [true, false]),
            (0, String::new(), [false; 2])
        )
        .1,
        "x"
    );
    let names = fabric.open(PATH).unwrap().names().join(",");
    assert_eq!(names, "value", "a container of plain values is one entry");
}

#[test]
fn an_array_and_a_tuple_keep_their_own_length() {
    let fabric = fabric();
    fabric.save(PATH, &One { value: vec![1u32, 2] }).unwrap();
    let mut live = One { value: [9u32; 3] };
    assert_eq!(
        mismatched(&refused(&fabric, &mut live, LoadOptions::new())),
        [("value", MismatchKind::Type)]
    );
    let mut live = One {
        value: (9u32, 9u32, 9u32),
    };
    assert_eq!(
        mismatched(&refused(&fabric, &mut live, LoadOptions::new())),
        [("value", MismatchKind::Type)]
    );
    let mut live = One { value: [9u32; 2] };
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(live.value, [1, 2]);
}

#[test]
fn a_number_that_does_not_fit_is_refused_and_not_cut() {
    let fabric = fabric();
    fabric.save(PATH, &One { value: 256u64 }).unwrap();
    let report = refused(&fabric, &mut One { value: 1u8 }, LoadOptions::new());
    assert_eq!(mismatched(&report), [("value", MismatchKind::Type)]);
    assert!(report.to_string().contains("integer 256"), "{report}");
    fabric.save(PATH, &One { value: -1i64 }).unwrap();
    refused(&fabric, &mut One { value: 1u64 }, LoadOptions::new());
    fabric.save(PATH, &One { value: 0.5f64 }).unwrap();
    refused(&fabric, &mut One { value: 1u64 }, LoadOptions::new());
    fabric.save(PATH, &One { value: 255u64 }).unwrap();
    let mut narrower = One { value: 1u8 };
    fabric.load(PATH, &mut narrower).unwrap();
    assert_eq!(narrower.value, 255);
}

#[test]
fn one_bad_item_deep_in_a_container_refuses_it_all() {
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &One {
                value: vec![vec![1i64], vec![2, -3]],
            },
        )
        .unwrap();
    let mut live = One {
        value: vec![vec![7u32]],
    };
    refused(&fabric, &mut live, LoadOptions::new());
    assert_eq!(live.value, [[7]]);
}

#[test]
fn a_value_in_an_option_is_replaced_either_way() {
    let fabric = fabric();
    assert_eq!(round_trip(&fabric, Some(3u64), None), Some(3));
    assert_eq!(round_trip(&fabric, None, Some(3u64)), None);
    assert_eq!(round_trip(&fabric, Some(3u64), Some(4)), Some(3));
    assert_eq!(round_trip(&fabric, Some(vec![0.5f64]), None), Some(vec![0.5]));
    assert_eq!(round_trip(&fabric, vec![Some(1u8), None], vec![]), [Some(1), None]);
    fabric.save(PATH, &One { value: None::<u64> }).unwrap();
    assert!(fabric.open(PATH).unwrap().is_empty(), "None holds no entry");
}

#[test]
fn nothing_restored_says_so_and_is_no_error_for_an_optional_value() {
    let fabric = fabric();
    fabric.save(PATH, &One { value: None::<u64> }).unwrap();
    let mut live = One { value: Some(3u64) };
    let report = fabric.load(PATH, &mut live).unwrap().report;
    assert_eq!((report.restored, report.missing.len()), (vec!["value".to_owned()], 0));
}

#[test]
fn a_map_with_parts_of_both_kinds_is_matched_part_by_part() {
    let fabric = fabric();
    let parts = |seed: u64| One {
        value: BTreeMap::from([("a".to_owned(), (seed, tensor(seed, 2)))]),
    };
    fabric.save(PATH, &parts(1)).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), ["value.a.0", "value.a.1"]);
    let mut live = parts(2);
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(live.value["a"].0, 1);
}

#[test]
fn a_state_without_entries_is_saved_and_loaded() {
    #[derive(Checkpoint)]
    struct Hollow {
        tensors: Vec<Tensor>,
        none: Option<Tensor>,
    }
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &Hollow {
                tensors: vec![],
                none: None,
            },
        )
        .unwrap();
    let loaded = fabric
        .load(
            PATH,
            &mut Hollow {
                tensors: vec![],
                none: None,
            },
        )
        .unwrap();
    assert!(loaded.remainder.is_empty() && loaded.report.is_complete());
}

#[test]
fn a_tensor_where_a_value_is_expected_is_refused_and_the_other_way_round() {
    let fabric = fabric();
    for options in [LoadOptions::new(), LoadOptions::new().strict(false)] {
        fabric.save(PATH, &One { value: tensor(1, 3) }).unwrap();
        let report = refused(&fabric, &mut One { value: 1u64 }, options.clone());
        assert_eq!(mismatched(&report), [("value", MismatchKind::Type)]);
        fabric.save(PATH, &One { value: 1u64 }).unwrap();
        let report = refused(&fabric, &mut One { value: tensor(1, 3) }, options);
        assert_eq!(mismatched(&report), [("value", MismatchKind::Type)]);
    }
}

#[test]
fn a_long_history_is_read_back_or_refused_when_it_is_saved() {
    let fabric = fabric();
    let long = vec![0.1f64; 3 << 20];
    assert!(round_trip(&fabric, long.clone(), vec![]) == long);
}
