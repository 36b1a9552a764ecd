//! The words for values.

use std::collections::BTreeMap;

use fabric_core::{Checkpoint, Error, LoadOptions};
use serde::{Deserialize, Serialize};

use crate::states::{PATH, fabric};

#[derive(Checkpoint)]
struct Old {
    theta: f64,
    text: String,
    mask: Vec<u8>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Default)]
struct Rope {
    theta: f64,
    scaling: f64,
}

#[derive(Checkpoint, Default)]
struct New {
    #[checkpoint(metadata)]
    rope: Rope,
    number: u64,
    level: u32,
}

fn saved() -> fabric_core::Fabric {
    let fabric = fabric();
    let old = Old {
        theta: 1e4,
        text: "42".into(),
        mask: vec![1, 2],
    };
    fabric.save(PATH, &old).unwrap();
    fabric
}

#[test]
fn a_value_becomes_one_of_any_other_type() {
    let fabric = saved();
    let mut new = New::default();
    let options = LoadOptions::new().migrations(|m| {
        m.value("theta", "rope", |theta: f64| Rope { theta, scaling: 1.0 })
            .try_value("text", "number", |text: String| text.parse::<u64>())
            .insert("level", 3u32)
            .remove("mask");
    });
    let loaded = fabric.load_with(PATH, &mut new, options).unwrap();
    assert_eq!(
        new.rope,
        Rope {
            theta: 1e4,
            scaling: 1.0
        }
    );
    assert_eq!((new.number, new.level), (42, 3));
    assert!(loaded.remainder.is_empty());
    let rope = loaded
        .report
        .migrated
        .iter()
        .find(|entry| entry.name == "rope")
        .unwrap();
    assert_eq!(rope.from, ["theta"]);
    assert_eq!(rope.words, ["value(\"theta\", \"rope\", ..)"]);
}

#[test]
fn a_value_that_does_not_decode_changes_nothing() {
    let fabric = saved();
    let mut new = New::default();
    let options = LoadOptions::new().migrations(|m| {
        m.value("text", "number", |number: u64| number);
    });
    let Error::Migration(error) = fabric.load_with(PATH, &mut new, options).unwrap_err() else {
        panic!("another error");
    };
    assert!(error.what.contains("`text` is text \"42\""), "{error}");
    let options = LoadOptions::new().migrations(|m| {
        m.try_value("text", "number", |_: String| Err::<u64, _>("no number today"));
    });
    let error = fabric.load_with(PATH, &mut new, options).unwrap_err().to_string();
    assert!(error.contains("no number today"), "{error}");
    assert_eq!(new.number, 0);
}

#[test]
fn a_reader_shows_the_entries_after_a_recipe() {
    let fabric = saved();
    let raw = fabric.open(PATH).unwrap();
    let migrated = raw
        .migrated(|m| {
            m.rename("theta", "rope.theta").value("mask", "sum", |mask: Vec<u8>| {
                mask.iter().map(|n| u64::from(*n)).sum::<u64>()
            });
        })
        .unwrap();
    assert_eq!(migrated.names(), ["rope.theta", "sum", "text"]);
    assert_eq!(migrated.value::<u64>("sum").unwrap(), 3);
    assert_eq!(raw.names(), ["mask", "text", "theta"]);
    let error = raw
        .migrated(|m| {
            m.keep("new");
        })
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("keep(\"new\")") && error.contains("needs the shapes of a state"),
        "{error}"
    );
}

#[test]
fn a_map_of_values_is_renamed_below_a_level() {
    #[derive(Checkpoint)]
    struct Counts {
        counts: BTreeMap<String, u64>,
    }
    #[derive(Checkpoint)]
    struct Seen {
        seen: BTreeMap<String, u64>,
    }
    let fabric = fabric();
    let counts = Counts {
        counts: BTreeMap::from([("a".into(), 1), ("b".into(), 2)]),
    };
    fabric.save(PATH, &counts).unwrap();
    let mut seen = Seen { seen: BTreeMap::new() };
    fabric
        .load_with(
            PATH,
            &mut seen,
            LoadOptions::new().migrations(|m| {
                m.rename("counts", "seen");
            }),
        )
        .unwrap();
    assert_eq!(seen.seen, counts.counts);
}
