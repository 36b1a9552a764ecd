//! Headers and indexes in JSON.

use std::fmt::Write;

use fabric_core::{Error, Result};
use testkit::files::storage;
use testkit::torch::safetensors;

use super::{generous, in_proportion, is_limit};
use crate::alone;

const LONG: usize = 4 << 20;

fn opened(file: &[u8]) -> Result<usize> {
    let memory = storage(&[("bomb.safetensors", file)]);
    in_proportion(&memory, "bomb.safetensors", file.len(), |raw| Ok(raw.len()))
}

#[test]
fn headers_that_nest_or_repeat_are_refused_in_proportion_to_their_length() {
    let _alone = alone();
    let deep = format!(r#"{{"t":{}"#, r#"{"a":"#.repeat(LONG / 5));
    let lists = format!(r#"{{"t":{}"#, "[".repeat(LONG));
    let twice = format!(
        "{{{}",
        r#""t":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"#.repeat(LONG / 50)
    );
    let twice = format!(r#"{twice}"u":{{"dtype":"U8","shape":[],"data_offsets":[0,1]}}}}"#);
    for json in [deep, lists, twice] {
        let error = opened(&safetensors(&json, &[0])).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
    // Keys that nobody knows are passed over.
    let extra = format!(
        r#"{{"t":{{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":[{}0]}}}}"#,
        "[],".repeat(LONG / 3)
    );
    assert_eq!(opened(&safetensors(&extra, &[0])).unwrap(), 1);
}

#[test]
fn a_header_of_many_small_entries_takes_memory_in_proportion() {
    let _alone = alone();
    let mut json = "{".to_owned();
    for at in 0..LONG / 60 {
        write!(
            json,
            r#""{at}":{{"dtype":"U8","shape":[1],"data_offsets":[{at},{}]}},"#,
            at + 1
        )
        .unwrap();
    }
    json.pop();
    json.push('}');
    assert_eq!(opened(&safetensors(&json, &vec![0; LONG / 60])).unwrap(), LONG / 60);
}

#[test]
fn a_header_longer_than_others_read_is_read_where_the_bound_is_raised() {
    let _alone = alone();
    let json = format!(
        "{}{}",
        r#"{"t":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#,
        " ".repeat(100_000_000)
    );
    let memory = storage(&[("long.safetensors", &safetensors(&json, &[7]))]);
    let error = in_proportion(&memory, "long.safetensors", json.len(), |raw| Ok(raw.len())).unwrap_err();
    is_limit(&error);
    assert!(generous(&memory).open("long.safetensors").unwrap().contains("t"));
}

#[test]
fn an_index_with_a_huge_map_is_bounded() {
    let _alone = alone();
    let mut json = r#"{"weight_map":{"#.to_owned();
    for at in 0..2_000_000 {
        write!(json, r#""{at}":"x","#).unwrap();
    }
    json.pop();
    json.push_str("}}");
    let memory = storage(&[("hub/model.safetensors.index.json", json.as_bytes())]);
    is_limit(&in_proportion(&memory, "hub", json.len(), |raw| Ok(raw.len())).unwrap_err());
    assert!(matches!(generous(&memory).open("hub"), Err(Error::NotFound { .. })));
}

#[test]
fn an_entry_that_is_there_twice_in_an_index_is_an_error() {
    let _alone = alone();
    let shard = safetensors(r#"{"t":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#, &[0]);
    let index = br#"{"weight_map":{"t":"a.safetensors","t":"b.safetensors"}}"#;
    let files: [(&str, &[u8]); 3] = [
        ("hub/model.safetensors.index.json", index),
        ("hub/a.safetensors", &shard),
        ("hub/b.safetensors", &shard),
    ];
    let error = testkit::files::open(&files, "hub").unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}
