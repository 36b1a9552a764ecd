//! Files made by hand: what no fixture has, honest and hostile.

use super::*;
use crate::io::checksum::crc32;

/// A zip archive of stored members.
pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    let short = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
    let long = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    for (name, data) in members {
        let header = bytes.len();
        bytes.extend(b"PK\x03\x04\0\0\x08\x08");
        bytes.extend([0; 18]);
        bytes.extend(short(name.len()));
        bytes.extend(short(0));
        bytes.extend(name.as_bytes());
        bytes.extend(*data);
        central.extend(b"PK\x01\x02\0\0\0\0\x08\x08\0\0\0\0\0\0");
        central.extend(crc32(data).to_le_bytes());
        central.extend(long(data.len()));
        central.extend(long(data.len()));
        central.extend(short(name.len()));
        central.extend([0; 12]);
        central.extend(long(header));
        central.extend(name.as_bytes());
    }
    let (start, len) = (bytes.len(), central.len());
    bytes.extend(central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(short(members.len()));
    bytes.extend(short(members.len()));
    bytes.extend(long(len));
    bytes.extend(long(start));
    bytes.extend([0, 0]);
    bytes
}

fn int(number: u64) -> Vec<u8> {
    [&[0x8a, 9][..], &number.to_le_bytes(), &[0]].concat()
}

fn tuple(numbers: &[u64]) -> Vec<u8> {
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| int(*number)).collect();
    [&b"("[..], &numbers, b"t"].concat()
}

/// The opcodes of a tensor over storage `0`.
fn tensor(class: &str, count: u64, offset: u64, size: &[u64], stride: &[u64]) -> Vec<u8> {
    let mut pickle = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagec".to_vec();
    pickle.extend(class.replace('.', "\n").as_bytes());
    pickle.extend(b"\nX\x01\0\0\x000X\x03\0\0\0cpu");
    pickle.extend(int(count));
    pickle.extend(b"tQ");
    pickle.extend(int(offset));
    pickle.extend(tuple(size));
    pickle.extend(tuple(stride));
    pickle.extend(b"\x89}tR");
    pickle
}

/// A file with one tensor, `t`.
fn file(order: &[u8], tensor: &[u8], data: &[u8]) -> Vec<u8> {
    let pickle = [&b"\x80\x02}X\x01\0\0\0t"[..], tensor, b"s."].concat();
    zip(&[("a/data.pkl", &pickle), ("a/byteorder", order), ("a/data/0", data)])
}

fn read(bytes: &[u8]) -> Vec<u8> {
    let source = open_bytes(bytes).unwrap_or_else(|error| panic!("{error}"));
    contents(&*source).unwrap().remove(0).1
}

fn refused(bytes: &[u8]) -> String {
    match open_bytes(bytes) {
        Err(Error::Corrupt { what, .. } | Error::UnknownFormat { what, .. } | Error::Limit { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

/// The bytes of a strided view by PyTorch's definition, element by element.
fn reference(data: &[u8], item: usize, offset: usize, size: &[usize], stride: &[usize]) -> Vec<u8> {
    let count: usize = size.iter().product();
    let mut bytes = Vec::new();
    for element in 0..count {
        let (mut rest, mut at) = (element, offset);
        for (size, stride) in size.iter().zip(stride).rev() {
            at += rest % size * stride;
            rest /= size;
        }
        bytes.extend(&data[at * item..(at + 1) * item]);
    }
    bytes
}

#[test]
fn views_with_any_strides_are_what_their_definition_says() {
    let data: Vec<u8> = (0..240u8).collect();
    let cases: &[(u64, &[u64], &[u64])] = &[
        (0, &[3, 4, 5], &[20, 5, 1]),
        (0, &[5, 4, 3], &[1, 5, 20]),
        (0, &[4, 3, 5], &[5, 20, 1]),
        (7, &[2, 2, 2], &[30, 10, 3]),
        (1, &[4, 3], &[0, 1]),
        (1, &[3, 4], &[1, 0]),
        (0, &[2, 3, 2], &[0, 4, 0]),
        // Windows that overlap: several indices share an element.
        (0, &[8, 3], &[1, 1]),
        (0, &[3, 8], &[2, 1]),
        (2, &[4, 4], &[1, 2]),
        (0, &[2, 2, 3], &[3, 5, 2]),
        (59, &[1, 1], &[100, 9]),
        (59, &[], &[]),
        (60, &[0, 3], &[3, 1]),
        (100, &[0], &[1]),
    ];
    for (offset, size, stride) in cases {
        let usizes = |numbers: &[u64]| -> Vec<usize> { numbers.iter().map(|n| usize::try_from(*n).unwrap()).collect() };
        let expected = reference(
            &data,
            4,
            usize::try_from(*offset).unwrap(),
            &usizes(size),
            &usizes(stride),
        );
        let bytes = file(
            b"little",
            &tensor("torch.FloatStorage", 60, *offset, size, stride),
            &data,
        );
        assert_eq!(read(&bytes), expected, "{offset} {size:?} {stride:?}");
        let swapped = file(b"big", &tensor("torch.FloatStorage", 60, *offset, size, stride), &data);
        let expected: Vec<u8> = expected
            .chunks(4)
            .flat_map(|number| number.iter().rev().copied())
            .collect();
        assert_eq!(read(&swapped), expected, "big endian: {offset} {size:?} {stride:?}");
    }
}

#[test]
fn big_endian_files_swap_numbers_and_not_elements() {
    let data = [1, 2, 3, 4, 5, 6, 7, 8];
    let cases: [(&str, u64, &[u8]); 5] = [
        ("torch.ByteStorage", 8, &[1, 2, 3, 4, 5, 6, 7, 8]),
        ("torch.HalfStorage", 4, &[2, 1, 4, 3, 6, 5, 8, 7]),
        ("torch.IntStorage", 2, &[4, 3, 2, 1, 8, 7, 6, 5]),
        ("torch.LongStorage", 1, &[8, 7, 6, 5, 4, 3, 2, 1]),
        ("torch.ComplexFloatStorage", 1, &[4, 3, 2, 1, 8, 7, 6, 5]),
    ];
    for (class, count, expected) in cases {
        assert_eq!(
            read(&file(b"big", &tensor(class, count, 0, &[count], &[1]), &data)),
            expected,
            "{class}"
        );
    }
    assert!(refused(&file(b"middle", &tensor("torch.ByteStorage", 8, 0, &[8], &[1]), &data)).contains("byte order"));
}

#[test]
fn a_view_larger_than_a_block_is_gathered_as_its_definition_says() {
    let count = 1_500_000u64;
    let data: Vec<u8> = (0..count * 4).map(|at| (at % 251) as u8).collect();
    for (size, stride) in [
        ([1000, 1500], [1, 1000]),
        ([750, 1000], [2000, 2]),
        ([1_400_000, 2], [1, 1]),
    ] {
        let bytes = file(
            b"little",
            &tensor("torch.FloatStorage", count, 0, &size, &stride),
            &data,
        );
        let usizes = |numbers: [u64; 2]| numbers.map(|n| usize::try_from(n).unwrap());
        assert!(
            read(&bytes) == reference(&data, 4, 0, &usizes(size), &usizes(stride)),
            "{size:?} {stride:?}"
        );
    }
}

#[test]
fn a_large_tensor_is_verified_whichever_way_it_is_read() {
    let count = 6_000_000u64;
    let mut data = vec![3u8; 24_000_000];
    let plain = file(
        b"little",
        &tensor("torch.FloatStorage", count, 0, &[count], &[1]),
        &data,
    );
    let transposed = tensor("torch.FloatStorage", count, 0, &[2000, 3000], &[1, 2000]);
    data[20_000_000] = 9;
    assert!(read(&plain).iter().all(|byte| *byte == 3));
    for mut bytes in [plain, file(b"little", &transposed, &data)] {
        let at = bytes.windows(100).position(|bytes| bytes == [3; 100]).unwrap() + 17_000_000;
        bytes[at] ^= 1;
        let source = open_bytes(&bytes).unwrap();
        assert!(matches!(contents(&*source), Err(Error::Checksum { .. })));
        let stored = &source.index().tensors["t"];
        let streamed = crate::source::read::stream(&*source, "t", stored, |_| Ok(()));
        assert!(matches!(streamed, Err(Error::Checksum { .. })));
        let crate::source::Check::Run(run) = &stored.parts[0].check else {
            panic!("an archive has checksums");
        };
        let verified = crate::source::read::verify_run(&*source, "t", run);
        assert!(matches!(verified, Err(Error::Checksum { .. })));
    }
}

#[test]
fn tensors_that_reach_out_of_their_storage_are_refused() {
    // Elements, offset, size, strides, and what the refusal says.
    type Case<'a> = (u64, u64, &'a [u64], &'a [u64], &'a str);
    let data = [0; 240];
    let float = "torch.FloatStorage";
    let cases: &[Case<'_>] = &[
        (60, 0, &[61], &[1], "reaches out"),
        (60, 1, &[60], &[1], "reaches out"),
        (60, 0, &[2, 2], &[59, 1], "reaches out"),
        (60, u64::MAX, &[1], &[1], "reaches out"),
        (60, u64::MAX / 4, &[1], &[1], "reaches out"),
        (60, 0, &[u64::MAX, 2], &[1, 1], "larger than the address space"),
        (60, 0, &[2], &[u64::MAX], "reaches out"),
        (60, 0, &[2, 2], &[u64::MAX, u64::MAX], "reaches out"),
        (60, 0, &[2], &[1, 1], "1 dimensions and 2 strides"),
        (61, 0, &[1], &[1], "the pickle gives it 61"),
        (u64::MAX, 0, &[1], &[1], "the pickle gives it"),
        (60, 0, &[1; 65], &[1; 65], "65 dimensions"),
    ];
    for (count, offset, size, stride, expected) in cases {
        let what = refused(&file(b"little", &tensor(float, *count, *offset, size, stride), &data));
        assert!(what.contains(expected) && what.contains("`t`"), "{what}");
    }
}

#[test]
fn tensors_of_kinds_that_are_not_read_are_leaves_that_say_so() {
    for (pickle, expected) in [
        (tensor("torch.QInt8Storage", 8, 0, &[8], &[1]), "QInt8Storage"),
        (
            b"ctorch._utils\n_rebuild_sparse_tensor\n)R".to_vec(),
            "torch._utils._rebuild_sparse_tensor",
        ),
        (b"cdatetime\ndatetime\n)R".to_vec(), "datetime.datetime"),
        (
            b"cargparse\nNamespace\n)\x81}X\x01\0\0\0aK\x01sb".to_vec(),
            "argparse.Namespace",
        ),
    ] {
        let source = open_bytes(&file(b"little", &pickle, &[0; 8])).unwrap();
        let value = &source.index().values["t"];
        assert!(value.describe().contains(expected), "{}", value.describe());
        let error = value.decode::<String>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The value `t` of a file that holds only it.
fn value(pickle: &[u8]) -> crate::Value {
    let source = open_bytes(&file(b"little", pickle, &[])).unwrap();
    source.index().values["t"].clone()
}

#[test]
fn values_that_pickle_writes_as_calls_are_values() {
    let text = |pickle: &[u8]| value(pickle).decode::<String>().unwrap();
    assert_eq!(text(b"ctorch\ndevice\nX\x04\0\0\0cudaK\x01\x86R"), "cuda:1");
    assert_eq!(
        text(b"cpathlib\nPosixPath\n(X\x01\0\0\0/X\x01\0\0\0aX\x01\0\0\0btR"),
        "/a/b"
    );
    assert_eq!(text(b"ctorch\nbfloat16\n"), "torch.bfloat16");
    assert_eq!(
        value(b"ctorch\nSize\nK\x02K\x03\x86\x85R")
            .decode::<Vec<u64>>()
            .unwrap(),
        [2, 3]
    );
    let complex = b"c__builtin__\ncomplex\nG\x3f\xf0\0\0\0\0\0\0G\x40\0\0\0\0\0\0\0\x86R";
    assert_eq!(value(complex).decode::<(f64, f64)>().unwrap(), (1., 2.));
    let numpy = b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\0\0\0f8K\0K\x01\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbC\x08\0\0\0\0\0\0\xf8\x3f\x86R";
    assert!((value(numpy).decode::<f64>().unwrap() - 1.5).abs() < f64::EPSILON);
    assert!(
        value(b"\x8a\x11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01")
            .describe()
            .contains("17 bytes")
    );
    assert_eq!(
        value(b"}(K\x01NK\x02\x88u")
            .decode::<std::collections::BTreeMap<u8, Option<bool>>>()
            .unwrap()[&2],
        Some(true)
    );
}

#[test]
fn objects_that_contain_themselves_or_multiply_are_refused() {
    let tensor = tensor("torch.ByteStorage", 1, 0, &[1], &[1]);
    let deep = [&vec![b']'; 300][..], &vec![b'a'; 299]].concat();
    let cyclic = b"]q\x00h\x00a".to_vec();
    let cyclic_dict = [&b"}q\x00(X\x01\0\0\0ah\x00X\x01\0\0\0b"[..], &tensor, b"u"].concat();
    let doubling = [&b"N"[..], &b"2\x86".repeat(60)].concat();
    let doubling_tensors = [&tensor[..], &b"2\x86".repeat(60)].concat();
    let long = [
        &b"X\0\0\x01\0"[..],
        &vec![b'x'; 1 << 16],
        b"q\x000(",
        &b"h\x00".repeat(9000),
        b"l",
    ]
    .concat();
    for pickle in [deep, cyclic, cyclic_dict, doubling, doubling_tensors, long] {
        let what = refused(&file(b"little", &pickle, &[0]));
        assert!(
            what.contains("again and again") || what.contains("contains itself"),
            "{what}"
        );
    }
}

#[test]
fn a_long_list_of_one_number_or_flag_is_a_value() {
    for item in [&b"\x88"[..], b"K\x07", b"N"] {
        let items = item.repeat(100_000);
        let pickle = [&b"\x80\x02}X\x01\0\0\0l]("[..], &items, b"es."].concat();
        let source = open_bytes(&zip(&[("a/data.pkl", &pickle)])).unwrap_or_else(|error| panic!("{error}"));
        let list = source.index().values["l"].0.as_array().map(Vec::len);
        assert_eq!(list, Some(100_000));
    }
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let tensor = tensor("torch.ByteStorage", 1, 0, &[1], &[1]);
    let dotted = [
        &b"}(X\x03\0\0\0a.b"[..],
        &tensor,
        b"X\x01\0\0\0a}X\x01\0\0\0b",
        &tensor,
        b"su",
    ]
    .concat();
    let number = [&b"}(K\x01"[..], &tensor, b"X\x01\0\0\x001", &tensor, b"u"].concat();
    let twice = [&b"}(K\x01"[..], &tensor, b"K\x01", &tensor, b"u"].concat();
    for pickle in [dotted, number, twice] {
        assert!(refused(&file(b"little", &pickle, &[0])).contains("two entries have the name"));
    }
    assert!(refused(&file(b"little", b"}(K\x01NK\x01Nu", &[0])).contains("one key twice"));
    let keys = [&b"}(K\x01K\x02\x86"[..], &tensor, b"u"].concat();
    assert!(refused(&file(b"little", &keys, &[0])).contains("cannot be part of a name"));
}

#[test]
fn a_tensor_by_itself_and_a_list_of_tensors_have_names() {
    let tensor = tensor("torch.ByteStorage", 1, 0, &[1], &[1]);
    let root = |pickle: &[u8]| {
        let pickle = [&b"\x80\x02"[..], pickle, b"."].concat();
        let bytes = zip(&[("a/data.pkl", &pickle), ("a/data/0", &[5])]);
        let source = open_bytes(&bytes).unwrap();
        source.index().names().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(root(&tensor), ["tensor"]);
    assert_eq!(root(&[&b"("[..], &tensor, b"K\x07t"].concat()), ["0", "1"]);
    assert_eq!(root(b"K\x07"), ["value"]);
    assert_eq!(root(b"}"), [""; 0]);
}
