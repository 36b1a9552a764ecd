//! Byte-level expectations, written out by hand after Python's `pickletools`.

use super::*;
use crate::Value;

fn pickled(object: &Object<'_>) -> Vec<u8> {
    pickle(object).unwrap()
}

fn refused(name: &str, value: &Cbor) -> (String, String) {
    match pickle(&Object::Value(name, value)).unwrap_err() {
        Error::State(StateError::Value { name, what }) => (name, what),
        other => panic!("{other}"),
    }
}

fn value(value: &Cbor) -> Vec<u8> {
    let bytes = pickled(&Object::Value("v", value));
    assert_eq!((&bytes[..2], bytes.last()), (&[0x80, 2][..], Some(&b'.')));
    bytes[2..bytes.len() - 1].to_vec()
}

#[test]
fn numbers_take_the_shortest_opcode_that_holds_them() {
    let integer = |number: i64| value(&Value::of(&number).unwrap().0);
    assert_eq!(integer(0), b"K\x00");
    assert_eq!(integer(255), b"K\xff");
    assert_eq!(integer(256), b"M\x00\x01");
    assert_eq!(integer(65536), b"J\x00\x00\x01\x00");
    assert_eq!(integer(-1), b"J\xff\xff\xff\xff");
    assert_eq!(integer(i64::from(i32::MIN)), b"J\x00\x00\x00\x80");
    assert_eq!(integer(1 << 31), b"\x8a\x05\x00\x00\x00\x80\x00");
    assert_eq!(integer(i64::MIN), b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80");
    assert_eq!(
        value(&Value::of(&u64::MAX).unwrap().0),
        b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00"
    );
    assert_eq!(value(&Value::of(&1.0).unwrap().0), b"G\x3f\xf0\x00\x00\x00\x00\x00\x00");
}

#[test]
fn integers_beyond_64_bits_are_twos_complement() {
    let positive = Cbor::Tag(2, Box::new(Cbor::Bytes(vec![0x80, 0, 0, 0, 0, 0, 0, 0, 1])));
    assert_eq!(value(&positive), b"\x8a\x0a\x01\0\0\0\0\0\0\0\x80\0");
    let negative = Cbor::Tag(3, Box::new(Cbor::Bytes(vec![1, 0, 0, 0, 0, 0, 0, 0, 0])));
    // -1 - 2^64
    assert_eq!(value(&negative), b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\xfe");
}

#[test]
fn lists_maps_texts_and_bytes_are_what_python_writes() {
    let map = Value::map([
        ("a".into(), Value::list([Value::null(), Value::of(&true).unwrap()])),
        ("b".into(), Value::of("x").unwrap()),
    ]);
    assert_eq!(value(&map.0), b"}(X\x01\0\0\0a](N\x88eX\x01\0\0\0bX\x01\0\0\0xu");
    assert_eq!(
        value(&Cbor::Bytes(vec![0x61, 0xe9])),
        b"c_codecs\nencode\nq\x00X\x03\0\0\0a\xc3\xa9X\x06\0\0\0latin1q\x01\x86R"
    );
}

#[test]
fn a_tensor_is_a_call_that_rebuilds_it() {
    let tensor = |stored_as| {
        Object::Tensor(Tensor {
            storage: 3,
            stored_as,
            shape: vec![2, 3],
            elements: 6,
            bytes: 6,
        })
    };
    assert_eq!(
        pickled(&tensor(StoredAs::Class("FloatStorage"))),
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00((X\x07\0\0\0storageq\x01ctorch\nFloatStorage\nq\x02\
          X\x01\0\0\x003X\x03\0\0\0cpuq\x03K\x06tQK\x00(K\x02K\x03t(K\x03K\x01t\x89\
          ccollections\nOrderedDict\nq\x04)RtR."
    );
    let untyped = pickled(&tensor(StoredAs::Untyped("float8_e4m3fn")));
    let class = b"ctorch.storage\nUntypedStorage\n";
    assert!(untyped.windows(class.len()).any(|window| window == class));
    assert!(untyped.ends_with(b")Rctorch\nfloat8_e4m3fn\nq\x05tR."));
}

#[test]
fn strides_are_those_of_pytorch_also_where_a_dimension_is_empty() {
    assert!(strides(&[]).is_empty());
    assert_eq!(strides(&[2, 3, 4]), [12, 4, 1]);
    assert_eq!(strides(&[0, 4]), [4, 1]);
    assert_eq!(strides(&[3, 0, 2]), [2, 2, 1]);
}

#[test]
fn what_has_no_form_in_python_is_refused_by_name() {
    let odd = Cbor::Map(vec![(Cbor::Array(vec![]), Cbor::Null)]);
    let (name, what) = refused("data.odd", &odd);
    assert_eq!(name, "data.odd");
    assert!(what.contains("as a key"), "{what}");
    let mut deep = Cbor::Null;
    for _ in 0..300 {
        deep = Cbor::Array(vec![deep]);
    }
    assert!(refused("v", &deep).1.contains("nested"));
    assert!(pickle(&Object::Value("v", &Cbor::Tag(0, Box::new(Cbor::Null)))).is_err());
}
