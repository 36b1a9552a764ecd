//! Metadata of any serde type: it comes back as it was, and the type may change between two versions of a program.

use std::collections::{BTreeMap, HashMap};

use fabric_core::{Checkpoint, Fabric, LoadOptions, MismatchKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::states::{PATH, fabric, mismatched, refused};

#[derive(Checkpoint)]
struct State<T: Serialize + DeserializeOwned> {
    #[checkpoint(metadata)]
    meta: T,
}

fn saved<T: Serialize + DeserializeOwned>(meta: T) -> Fabric {
    let fabric = fabric();
    fabric.save(PATH, &State { meta }).unwrap();
    fabric
}

fn loaded<T: Serialize + DeserializeOwned>(fabric: &Fabric, meta: T) -> T {
    let mut live = State { meta };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    live.meta
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Default)]
struct V1 {
    lr: f64,
    name: String,
    layers: Vec<usize>,
}

fn v1() -> V1 {
    V1 {
        lr: 0.1,
        name: "größe 🦀".into(),
        layers: vec![4, 8],
    }
}

#[test]
fn a_struct_comes_back_whole() {
    assert_eq!(loaded(&saved(v1()), V1::default()), v1());
}

#[test]
fn an_added_field_with_a_default_reads_what_was_written_before_it_existed() {
    #[derive(Serialize, Deserialize)]
    struct V2 {
        lr: f64,
        name: String,
        layers: Vec<usize>,
        #[serde(default)]
        warmup: u32,
        note: Option<String>,
    }
    let v2 = V2 {
        lr: 1.,
        name: String::new(),
        layers: vec![],
        warmup: 9,
        note: Some("old".into()),
    };
    let read = loaded(&saved(v1()), v2);
    assert_eq!((read.lr, read.warmup, read.note, read.layers.len()), (0.1, 0, None, 2));
}

#[test]
fn an_added_field_without_a_default_is_refused_by_name() {
    #[derive(Serialize, Deserialize)]
    struct V2 {
        lr: f64,
        warmup: u32,
    }
    let report = refused(
        &saved(v1()),
        &mut State {
            meta: V2 { lr: 1., warmup: 9 },
        },
        LoadOptions::new().strict(false),
    );
    assert_eq!(mismatched(&report), [("meta", MismatchKind::Type)]);
    assert!(report.to_string().contains("missing field `warmup`"), "{report}");
}

#[test]
fn a_removed_field_is_passed_over_unless_the_type_denies_it() {
    #[derive(Serialize, Deserialize)]
    struct Smaller {
        lr: f64,
    }
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        lr: f64,
    }
    let fabric = saved(v1());
    assert_eq!(loaded(&fabric, Smaller { lr: 1. }).lr, 0.1);
    let report = refused(
        &fabric,
        &mut State {
            meta: Strict { lr: 1. },
        },
        LoadOptions::new(),
    );
    assert!(report.to_string().contains("unknown field"), "{report}");
}

#[test]
fn a_renamed_field_is_found_under_its_old_name() {
    #[derive(Serialize, Deserialize)]
    struct Renamed {
        #[serde(alias = "lr")]
        learning_rate: f64,
    }
    assert_eq!(loaded(&saved(v1()), Renamed { learning_rate: 1. }).learning_rate, 0.1);
}

#[test]
fn a_field_that_changed_its_type_is_refused_with_a_sentence() {
    #[derive(Serialize, Deserialize)]
    struct Texts {
        lr: String,
    }
    let report = refused(
        &saved(v1()),
        &mut State {
            meta: Texts { lr: String::new() },
        },
        LoadOptions::new(),
    );
    let expected =
        "meta: found a map of 3, expected a value that fits (lr: invalid type: floating point `0.1`, expected str)";
    assert!(report.to_string().contains(expected), "{report}");
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
enum Schedule {
    Constant,
    Step(u64),
    Cosine { period: u64, floor: f64 },
    Chain(Vec<Schedule>),
    Pair(u8, char),
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Tagged {
    Plain,
    Scaled { by: f32 },
}

#[test]
fn enums_of_every_shape_come_back() {
    let cosine = Schedule::Cosine { period: 3, floor: 0.5 };
    let all = [
        Schedule::Constant,
        Schedule::Step(u64::MAX),
        cosine.clone(),
        Schedule::Chain(vec![cosine, Schedule::Chain(vec![]), Schedule::Constant]),
        Schedule::Pair(1, '🦀'),
    ];
    for schedule in all {
        assert_eq!(loaded(&saved(schedule.clone()), Schedule::Constant), schedule);
    }
    for tagged in [Tagged::Plain, Tagged::Scaled { by: 0.1 }] {
        assert_eq!(loaded(&saved(tagged.clone()), Tagged::Plain), tagged);
    }
}

#[test]
fn an_enum_without_the_stored_variant_is_refused_by_name() {
    #[derive(Serialize, Deserialize)]
    enum Fewer {
        Constant,
    }
    let report = refused(
        &saved(Schedule::Step(1)),
        &mut State { meta: Fewer::Constant },
        LoadOptions::new(),
    );
    assert!(report.to_string().contains("Step"), "{report}");
}

#[test]
fn options_units_and_tuples_come_back() {
    assert_eq!(loaded(&saved(Some(3u8)), None), Some(3));
    assert_eq!(loaded(&saved(None::<u8>), Some(3)), None);
    assert_eq!(
        loaded(&saved(Some(None::<u8>)), None::<Option<u8>>),
        Some(None),
        "a None that is there is not one that is not"
    );
    loaded(&saved(()), ());
    assert_eq!(
        loaded(&saved((1u8, "x".to_owned(), [0.5f32; 2])), (0, String::new(), [0.; 2])),
        (1, "x".to_owned(), [0.5; 2])
    );
}

#[test]
fn numbers_come_back_at_their_limits() {
    fn exact<T: Serialize + DeserializeOwned + PartialEq + Copy + Default + std::fmt::Debug>(value: T) {
        let read: T = loaded(&saved(value), T::default());
        assert_eq!(read, value);
    }
    exact(u64::MAX);
    exact(i64::MIN);
    exact(u128::MAX);
    exact(i128::MIN);
    exact([i8::MIN, i8::MAX]);
    exact([f64::MAX, f64::INFINITY, 5e-324]);
    exact([f32::MIN, f32::NEG_INFINITY, 1e-45]);
    assert!(loaded(&saved(f64::NAN), 0f64).is_nan());
    assert_eq!(
        loaded(&saved(f64::from_bits(0x7ff8_0000_dead_beef)), 0f64).to_bits(),
        0x7ff8_0000_dead_beef
    );
    assert_eq!(loaded(&saved(-0f64), 1f64).to_bits(), (-0f64).to_bits());
    let mixed = vec![f32::NAN, f32::INFINITY, 1e-45];
    let read: Vec<f32> = loaded(&saved(mixed.clone()), vec![]);
    assert_eq!(
        read.iter().map(|f| f.to_bits()).collect::<Vec<_>>(),
        mixed.iter().map(|f| f.to_bits()).collect::<Vec<_>>()
    );
}

#[test]
fn maps_with_keys_that_are_no_texts_come_back() {
    let epochs = BTreeMap::from([(-1i64, "a".to_owned()), (1 << 40, "b".to_owned())]);
    assert_eq!(loaded(&saved(epochs.clone()), BTreeMap::new()), epochs);
    let pairs = HashMap::from([((1u8, true), 0.5f64), ((0, false), 0.25)]);
    assert_eq!(loaded(&saved(pairs.clone()), HashMap::new()), pairs);
}

#[test]
fn metadata_is_replaced_whole_and_never_merged() {
    let meta = HashMap::from([("new".to_owned(), 1u8)]);
    assert_eq!(
        loaded(&saved(meta.clone()), HashMap::from([("old".to_owned(), 2)])),
        meta
    );
}

#[test]
fn a_value_is_readable_without_its_type() {
    let raw = saved(v1()).open(PATH).unwrap();
    let json = raw.value::<serde_json::Value>("meta").unwrap();
    assert_eq!(
        json,
        serde_json::json!({"lr": 0.1, "name": "größe 🦀", "layers": [4, 8]})
    );
    let any = serde_json::json!({"a": [1, 2.5, null, true, "x"], "b": {"c": -7}});
    assert_eq!(loaded(&saved(any.clone()), serde_json::Value::Null), any);
}

#[test]
fn a_type_that_cannot_be_serialised_refuses_the_save_and_names_the_entry() {
    #[derive(Deserialize)]
    struct Never;
    impl Serialize for Never {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("the moon is wrong"))
        }
    }
    let fabric = fabric();
    let error = fabric.save(PATH, &State { meta: Never }).unwrap_err().to_string();
    assert!(
        error.contains("`meta`") && error.contains("the moon is wrong"),
        "{error}"
    );
    assert!(fabric.open(PATH).is_err(), "nothing was written");
}

#[test]
fn deep_nesting_that_could_not_be_read_back_is_refused_when_it_is_saved() {
    let mut deep = serde_json::json!(1);
    for _ in 0..100 {
        deep = serde_json::json!([deep]);
    }
    assert_eq!(loaded(&saved(deep.clone()), serde_json::Value::Null), deep);
    for _ in 0..400 {
        deep = serde_json::json!([deep]);
    }
    let fabric = fabric();
    let error = fabric.save(PATH, &State { meta: deep }).unwrap_err().to_string();
    assert!(
        error.contains("`meta`") && error.contains("nested more than 128 levels deep"),
        "{error}"
    );
}

#[test]
fn whatever_nesting_is_saved_is_read_back() {
    let mut deep = serde_json::json!([]);
    let mut refused = 0;
    for depth in 1..150 {
        let fabric = fabric();
        match fabric.save(PATH, &State { meta: deep.clone() }) {
            Ok(_) => assert_eq!(loaded(&fabric, serde_json::Value::Null), deep, "{depth}"),
            Err(_) => refused += 1,
        }
        deep = if depth % 2 == 0 {
            serde_json::json!([deep])
        } else {
            serde_json::json!({ "key": deep })
        };
    }
    assert!((1..50).contains(&refused), "{refused}");
}
