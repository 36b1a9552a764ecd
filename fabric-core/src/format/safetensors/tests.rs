use std::collections::BTreeMap;

use safetensors::SafeTensors;

use super::*;
use crate::io::checksum;

/// A file with this JSON and `data` zero bytes.
fn file(json: &str, data: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
    Header::parse(bytes, bytes.len() as u64)
}

/// The sentence with which a file of this JSON and this much data is refused.
fn refusal(json: &str, data: usize) -> String {
    read(&file(json, data)).expect_err(json).to_string()
}

fn info(dtype: DType, shape: &[usize]) -> TensorInfo {
    TensorInfo::new(dtype, shape.to_vec())
}

#[test]
fn a_header_gives_names_types_shapes_and_places_in_the_order_of_the_bytes() {
    let json = r#"{"b":{"dtype":"F32","shape":[2,3],"data_offsets":[2,26]},"__metadata__":{"k":"v"},
        "a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}"#;
    let bytes = file(json, 26);
    let header = read(&bytes).unwrap();
    let data = 8 + json.len() as u64;
    assert_eq!(header.len, data);
    let place = |name: &str, info, start, end| Placed {
        name: name.to_owned(),
        info,
        start,
        end,
    };
    assert_eq!(
        header.tensors,
        [
            place("a", info(DType::BF16, &[]), data, data + 2),
            place("b", info(DType::F32, &[2, 3]), data + 2, data + 26),
        ]
    );
    assert_eq!(header.metadata, BTreeMap::from([("k".to_owned(), "v".to_owned())]));
    assert_eq!(header.sum, checksum::of(&bytes[..8 + json.len()]));
    assert_eq!(header.manifest(), Ok(None));
}

#[test]
fn a_file_too_short_for_a_header_is_refused() {
    for len in 0..10 {
        let bytes = vec![2; len];
        assert_eq!(read(&bytes), Err(HeaderError::TooShort { len: len as u64 }));
    }
    assert_eq!(header_len(&[2, 0, 0], 1_000), Err(HeaderError::TooShort { len: 1_000 }));
}

#[test]
fn a_length_that_no_header_can_have_is_refused_before_anything_is_read() {
    let claim = |n: u64, file_len| header_len(&n.to_le_bytes(), file_len);
    assert_eq!(claim(1, 100), Err(HeaderError::HeaderTooShort { claimed: 1 }));
    assert_eq!(
        claim(93, 100),
        Err(HeaderError::HeaderPastEnd { claimed: 93, left: 92 })
    );
    assert_eq!(claim(92, 100), Ok(100));
    assert_eq!(claim(100_000_000, 1 << 40), Ok(100_000_008));
    assert_eq!(
        claim(u64::MAX, u64::MAX),
        Err(HeaderError::HeaderPastEnd {
            claimed: u64::MAX,
            left: u64::MAX - 8
        })
    );
}

#[test]
fn fewer_bytes_than_the_header_has_are_refused() {
    let bytes = file("{}  ", 0);
    let error = Header::parse(&bytes[..11], bytes.len() as u64).unwrap_err();
    assert_eq!(error, HeaderError::HeaderPastEnd { claimed: 4, left: 3 });
}

#[test]
fn bytes_that_are_no_text_or_no_json_object_are_refused_with_the_place() {
    let mut bytes = file(r#"{"__metadata__":{"k":"v"}}"#, 0);
    bytes[8 + 18] = 0xff;
    assert_eq!(read(&bytes), Err(HeaderError::NotUtf8 { at: 18 }));
    assert_eq!(read(&file("[1]", 0)), Err(HeaderError::NotAnObject { found: b'[' }));
    assert_eq!(read(&file(" {}", 0)), Err(HeaderError::NotAnObject { found: b' ' }));
    assert!(refusal(r#"{"a":"#, 0).contains("line 1 column 5"));
    assert!(refusal("{} x", 0).contains("column 4"));
    assert!(refusal("{}\0", 0).contains("column 3"));
    assert!(refusal(r#"{"a":3}"#, 0).contains("invalid type: integer `3`"));
    assert!(refusal(r#"{"a":{"dtype":"F32","shape":[1]}}"#, 4).contains("missing field `data_offsets`"));
    assert!(refusal(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4).contains("`-1`"));
    assert!(refusal(r#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, 4).contains("`1.5`"));
    assert!(refusal(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, 4).contains("column"));
    assert!(refusal(r#"{"__metadata__":{"k":1}}"#, 0).contains("expected a string"));
}

#[test]
fn nesting_deeper_than_any_header_is_refused() {
    let deep = format!(r#"{{"a":{}"#, r#"{"dtype":"#.repeat(100_000));
    assert!(matches!(read(&file(&deep, 0)), Err(HeaderError::Json(_))));
    let ignored = format!(
        r#"{{"a":{{"further":{}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(matches!(read(&file(&ignored, 0)), Err(HeaderError::Json(_))));
}

#[test]
fn spaces_behind_the_json_are_padding() {
    let json = format!(
        "{{\"a\":{{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}}}{}",
        " ".repeat(777)
    );
    assert_eq!(read(&file(&json, 3)).unwrap().tensors[0].start, 8 + json.len() as u64);
}

#[test]
fn names_that_are_there_twice_or_empty_are_refused() {
    let twice =
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    assert_eq!(refusal(twice, 2), "the header has `a` twice");
    assert_eq!(
        refusal(r#"{"__metadata__":{},"__metadata__":{}}"#, 0),
        "the header has `__metadata__` twice"
    );
    assert_eq!(
        refusal(r#"{"__metadata__":{"k":"","k":""}}"#, 0),
        "the header has `__metadata__.k` twice"
    );
    assert!(
        refusal(
            r#"{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
            1
        )
        .contains("duplicate field")
    );
    assert_eq!(
        refusal(r#"{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1),
        "the header has a tensor without a name"
    );
}

#[test]
fn every_element_type_is_known_and_another_is_named() {
    for (name, bits) in [
        ("BOOL", 8),
        ("U8", 8),
        ("I8", 8),
        ("U16", 16),
        ("I16", 16),
        ("U32", 32),
        ("I32", 32),
        ("U64", 64),
        ("I64", 64),
        ("F4", 4),
        ("F6_E2M3", 6),
        ("F6_E3M2", 6),
        ("F8_E4M3", 8),
        ("F8_E5M2", 8),
        ("F8_E8M0", 8),
        ("F8_E4M3FNUZ", 8),
        ("F8_E5M2FNUZ", 8),
        ("F16", 16),
        ("BF16", 16),
        ("F32", 32),
        ("F64", 64),
        ("C64", 64),
    ] {
        let json = format!(
            r#"{{"a":{{"dtype":"{name}","shape":[4,5],"data_offsets":[0,{}]}}}}"#,
            20 * bits / 8
        );
        let bytes = file(&json, 20 * bits / 8);
        assert_eq!(read(&bytes).unwrap().tensors[0].info.dtype().name(), name);
        assert!(SafeTensors::deserialize(&bytes).is_ok(), "{name}");
    }
    let json = r#"{"a.b":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}}"#;
    assert_eq!(
        refusal(json, 16),
        "entry `a.b` has the element type `F128`, which is unknown"
    );
}

#[test]
fn sizes_that_overflow_or_do_not_fill_bytes_are_refused() {
    let json = |dtype: &str, shape: &str, end: u64| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    for shape in [
        "[18446744073709551615,2]",
        "[4294967296,4294967296]",
        "[2305843009213693952]",
    ] {
        assert!(refusal(&json("F64", shape, 0), 0).contains("does not fit"), "{shape}");
    }
    assert!(refusal(&json("F64", "[18446744073709551616]", 0), 0).contains("column"));
    assert!(refusal(&json("F32", "[1]", u64::MAX), 4).contains("takes 4 bytes"));
    let offsets = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]}}"#;
    assert!(refusal(offsets, 1).contains("takes 1 bytes"));
    assert_eq!(
        refusal(&json("F4", "[3]", 2), 2),
        "entry `a` is F4 [3], which does not fill whole bytes"
    );
}

#[test]
fn shape_and_offsets_must_agree() {
    let json =
        |start: u64, end: u64| format!(r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[{start},{end}]}}}}"#);
    assert!(read(&file(&json(0, 8), 8)).is_ok());
    assert_eq!(
        refusal(&json(0, 7), 7),
        "entry `a` is F32 [2], which takes 8 bytes, and has the offsets 0..7"
    );
    assert_eq!(
        refusal(&json(8, 0), 8),
        "entry `a` is F32 [2], which takes 8 bytes, and has the offsets 8..0"
    );
}

#[test]
fn overlaps_holes_and_a_wrong_file_length_are_refused() {
    let two = |a: (u64, u64), b: (u64, u64)| {
        let entry = |name: &str, (start, end): (u64, u64)| {
            format!(
                r#""{name}":{{"dtype":"U8","shape":[{}],"data_offsets":[{start},{end}]}}"#,
                end - start
            )
        };
        format!("{{{},{}}}", entry("a", a), entry("b", b))
    };
    assert!(read(&file(&two((4, 6), (0, 4)), 6)).is_ok());
    assert_eq!(
        refusal(&two((0, 4), (3, 5)), 5),
        "entry `b` has the offset 3 and overlaps `a`, which ends at 4"
    );
    assert!(refusal(&two((0, 4), (0, 4)), 4).contains("overlaps"));
    assert!(refusal(&two((0, 4), (0, 4)), 8).contains("overlaps"));
    assert_eq!(
        refusal(&two((0, 4), (5, 6)), 6),
        "bytes 4..5 of the data, before entry `b`, belong to no entry"
    );
    assert_eq!(
        refusal(&two((1, 4), (4, 6)), 6),
        "bytes 0..1 of the data, before entry `a`, belong to no entry"
    );
    for data in [0, 5, 7, 1000] {
        assert!(refusal(&two((0, 4), (4, 6)), data).contains("end at byte"), "{data}");
    }
    assert!(refusal("{}", 1).contains("end at byte"));
}

#[test]
fn tensors_without_elements_and_files_without_tensors_are_fine() {
    let json = r#"{"a":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
        "c":{"dtype":"F64","shape":[0],"data_offsets":[2,2]}}"#;
    let names: Vec<_> = read(&file(json, 2))
        .unwrap()
        .tensors
        .into_iter()
        .map(|t| t.name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(read(&file("{}", 0)).unwrap().tensors, []);
    assert_eq!(
        read(&file(r#"{"__metadata__":{"only":"this"}}"#, 0))
            .unwrap()
            .metadata
            .len(),
        1
    );
    assert_eq!(read(&file(r#"{"__metadata__":null}"#, 0)).unwrap().metadata.len(), 0);
    let inside =
        r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"z":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}"#;
    assert!(refusal(inside, 2).contains("overlaps"));
}

#[test]
fn a_mark_without_a_manifest_and_a_manifest_of_another_form_are_damage() {
    let marked = read(&file(r#"{"__metadata__":{"fabric":"1"}}"#, 0)).unwrap();
    assert_eq!(marked.manifest(), Err(HeaderError::ManifestMissing));
    let other = read(&file(
        r#"{"__fabric__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        4,
    ))
    .unwrap();
    assert!(matches!(other.manifest(), Err(HeaderError::ManifestForm { .. })));
}

#[test]
fn what_the_safetensors_library_writes_is_read() {
    let data = [1u8, 2, 3, 4, 5, 6, 7, 8];
    let view = |dtype, shape| safetensors::tensor::TensorView::new(dtype, shape, &data).unwrap();
    let tensors = [
        ("i", view(safetensors::Dtype::I16, vec![2, 2])),
        ("f", view(safetensors::Dtype::F64, vec![1])),
    ];
    let bytes = safetensors::serialize(tensors, None).unwrap();
    let header = read(&bytes).unwrap();
    assert_eq!(header.tensors.len(), 2);
    assert_eq!(
        header.tensors.iter().find(|t| t.name == "i").unwrap().info,
        info(DType::I16, &[2, 2])
    );
}
