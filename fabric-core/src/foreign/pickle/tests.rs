//! Pickles written by hand, honest and hostile; honest ones were checked against `pickletools`.

use super::*;
use crate::source::ReadLimit;

fn allowed(module: &str, name: &str) -> Option<Meaning> {
    if (module, name) == ("test", "keep") {
        return Some(Meaning::Keep);
    }
    standard(module, name)
}

fn read(bytes: &[u8]) -> Result<Pickle, PickleError> {
    load(bytes, allowed, ReadLimit::default())
}

fn root(bytes: &[u8]) -> Object {
    let pickle = read(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
    pickle.get(pickle.root).clone()
}

/// The items of the root, as objects.
fn items(bytes: &[u8]) -> Vec<Object> {
    let pickle = read(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
    let items = pickle.items(pickle.root).unwrap();
    items.iter().map(|id| pickle.get(*id).clone()).collect()
}

fn problem(bytes: &[u8]) -> Problem {
    match read(bytes) {
        Err(error) => error.what,
        Ok(pickle) => panic!("{:?} is {:?}", bytes, pickle.get(pickle.root)),
    }
}

#[test]
fn integers_of_any_size_keep_sign_and_value() {
    let cases: &[(&[u8], i128)] = &[
        (b"K\xff.", 255),
        (b"M\xff\xff.", 65_535),
        (b"J\xff\xff\xff\xff.", -1),
        (b"\x8a\x00.", 0),
        (b"\x8a\x01\xff.", -1),
        (b"\x8a\x02\xff\x00.", 255),
        (b"\x8a\x06\0\0\0\0\0\xff.", -(1 << 40)),
        (b"\x8a\x09\0\0\0\0\0\0\0\0\x40.", 1 << 70),
        (b"\x8b\x01\0\0\0\x80.", -128),
        (b"I-7\n.", -7),
        (b"L1180591620717411303424L\n.", 1 << 70),
        // More bytes than needed, all of them sign.
        (b"\x8a\x12\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0.", 5),
    ];
    for (bytes, expected) in cases {
        assert_eq!(root(bytes), Object::Int(*expected), "{bytes:?}");
    }
    assert_eq!(root(b"I01\n."), Object::Bool(true));
    let most = [&b"\x8a\x10"[..], &i128::MIN.to_le_bytes(), b"."].concat();
    assert_eq!(root(&most), Object::Int(i128::MIN));
}

#[test]
fn integers_beyond_128_bits_are_leaves_that_say_so() {
    for bytes in [
        &b"\x8a\x11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\0."[..],
        b"L999999999999999999999999999999999999999999L\n.",
    ] {
        let Object::Opaque(name) = root(bytes) else {
            panic!("{bytes:?}")
        };
        assert!(name.starts_with("int, of"), "{name}");
    }
    let mut huge = b"\x8b\x00\x00\x10\x00".to_vec();
    huge.extend(vec![0x7f; 1 << 20]);
    huge.push(b'.');
    assert!(matches!(root(&huge), Object::Opaque(_)));
}

#[test]
fn texts_bytes_and_floats_of_every_protocol_are_read() {
    let text = |text: &str| Object::Text(text.into());
    assert_eq!(root("X\x07\0\0\0größe.".as_bytes()), text("größe"));
    assert_eq!(root(b"\x8c\x01a."), text("a"));
    assert_eq!(root(b"\x8d\x01\0\0\0\0\0\0\0a."), text("a"));
    assert_eq!(root(b"Vgr\xf6\\u00dfe\\U0001F600\n."), text("größe😀"));
    assert_eq!(root(b"S'a\\x41\\n'\n."), text("aA\n"));
    assert_eq!(root(b"U\x02ab."), text("ab"));
    assert_eq!(root(b"U\x01\xff."), Object::Bytes([0xff].into()));
    assert_eq!(root(b"C\x02\x00\xff."), Object::Bytes([0, 0xff].into()));
    assert_eq!(
        root(b"c_codecs\nencode\nX\x03\0\0\0a\xc3\xbfX\x06\0\0\0latin1\x86R."),
        Object::Bytes([b'a', 0xff].into())
    );
    assert_eq!(root(b"c__builtin__\nbytes\n)R."), Object::Bytes(Box::default()));
    assert_eq!(root(b"F-2.5\n."), Object::Float(-2.5));
    assert_eq!(root(b"G\x3f\xf8\0\0\0\0\0\0."), Object::Float(1.5));
}

#[test]
fn an_object_that_is_referred_to_twice_is_one_object() {
    // [d, d] where d = {1: 2}, and d is filled after it was remembered.
    let pickle = read(b"\x80\x02](}q\x00K\x01K\x02sh\x00e.").unwrap();
    let items = pickle.items(pickle.root).unwrap();
    assert_eq!(items[0], items[1]);
    let Object::Dict(entries) = pickle.get(items[0]) else {
        panic!()
    };
    assert_eq!(entries.len(), 1);
}

#[test]
fn an_object_may_contain_itself() {
    let pickle = read(b"]q\x00h\x00a.").unwrap();
    assert_eq!(pickle.items(pickle.root), Some(&[pickle.root][..]));
}

#[test]
fn containers_come_from_opcodes_and_from_calls() {
    assert_eq!(items(b"(K\x01K\x02l."), [Object::Int(1), Object::Int(2)]);
    assert_eq!(items(b"\x8f(K\x01\x90."), [Object::Int(1)]);
    assert_eq!(items(b"(K\x01\x91."), [Object::Int(1)]);
    assert_eq!(items(b"c__builtin__\nset\n](K\x01K\x02e\x85R.").len(), 2);
    let entries = |bytes: &[u8]| match root(bytes) {
        Object::Dict(entries) => entries.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(entries(b"(K\x01K\x02d."), 1);
    assert_eq!(entries(b"ccollections\nOrderedDict\n)R(K\x01NK\x02Nu."), 2);
    assert_eq!(entries(b"ccollections\nOrderedDict\n](](K\x01Ne](K\x02Nee\x85R."), 2);
    assert_eq!(
        entries(b"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R(K\x01Nu."),
        1
    );
    assert_eq!(entries(b"\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93)\x81."), 0);
    // The attributes of a state dict are passed over.
    assert_eq!(entries(b"ccollections\nOrderedDict\n)R}X\x09\0\0\0_metadataNsb."), 0);
}

#[test]
fn nothing_that_is_not_allowed_is_more_than_a_leaf_with_a_name() {
    for bytes in [
        &b"cos\nsystem\nX\x04\0\0\0ls /\x85R."[..],
        b"cos\nsystem\n(X\x04\0\0\0ls /tR.",
        b"(X\x04\0\0\0ls /ios\nsystem\n.",
        b"(cos\nsystem\nX\x04\0\0\0ls /o.",
        b"cos\nsystem\n)\x81}b.",
        b"cos\nsystem\n)}\x92(NNu.",
        b"cos\nsystem\n)R](NNe\x85R(NNe.",
        b"\x8c\x02os\x8c\x06system\x93)R.",
        b"ccopy_reg\n_reconstructor\ncos\nsystem\nc__builtin__\nobject\nN\x87R}b.",
    ] {
        assert_eq!(root(bytes), Object::Opaque("os.system".into()), "{bytes:?}");
    }
    // A function by itself keeps its name, and says nothing else.
    let Object::Global(global) = root(b"cos\nsystem\n.") else {
        panic!()
    };
    assert_eq!((&*global.name, global.meaning), ("os.system", None));
}

#[test]
fn calls_that_are_allowed_are_noted_down() {
    let pickle = read(b"ctest\nkeep\nK\x01K\x02\x86R}b.").unwrap();
    let (name, arguments, state) = pickle.call(pickle.root).unwrap();
    assert_eq!((name, arguments.len(), state.is_some()), ("test.keep", 2, true));
}

#[test]
fn errors_name_the_byte_and_the_opcode() {
    let error = read(b"\x80\x02K\x01X\xff\0\0\0abc").unwrap_err();
    assert_eq!((error.at, error.opcode), (4, "BINUNICODE"));
    assert_eq!(error.what, Problem::Truncated { wanted: 255, left: 3 });
    assert_eq!(
        error.to_string(),
        "it needs 255 bytes and 3 are left (pickle, byte 4, opcode BINUNICODE)"
    );
}

#[test]
fn what_reduce_may_not_do_is_an_error() {
    for bytes in [
        &b"K\x01)R."[..],
        b"N)R.",
        b"ctest\nkeep\n)R)R.",
        b"ctest\nkeep\nK\x01R.",
        b")R.",
        b"R.",
        b"ccopy_reg\n_reconstructor\n)R.",
        b"ccopy_reg\n_reconstructor\nccopy_reg\n_reconstructor\n\x85R.",
        b"c_codecs\nencode\n)R.",
        b"c_codecs\nencode\nK\x01K\x01\x86R.",
        b"ccollections\nOrderedDict\nK\x01\x85R.",
        b"ccollections\nOrderedDict\n]K\x01a\x85R.",
        b"K\x01}b.",
        b"b.",
        b"ctest\nkeep\n)R(K\x01e.",
        b"]K\x01K\x02s.",
        b"}(K\x01u.",
        b"K\x01K\x02a.",
    ] {
        problem(bytes);
    }
}

#[test]
fn the_stack_below_a_mark_is_out_of_reach() {
    assert_eq!(problem(b"K\x01(\x85."), Problem::StackEmpty);
    assert_eq!(problem(b"K\x01(K\x02\x86."), Problem::StackEmpty);
    assert_eq!(problem(b"t."), Problem::NoMark);
    assert_eq!(problem(b"."), Problem::StackEmpty);
    assert_eq!(root(b"K\x01(0."), Object::Int(1));
}

#[test]
fn claimed_sizes_are_compared_with_what_is_left() {
    for bytes in [
        &b"\x8b\xff\xff\xff\x7f."[..],
        b"\x8b\xff\xff\xff\xff.",
        b"X\xff\xff\xff\xff.",
        b"B\xff\xff\xff\xff.",
        b"T\xff\xff\xff\xff.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x8a\xff.",
        b"cos",
        b"Vabc",
    ] {
        let found = problem(bytes);
        assert!(
            matches!(found, Problem::Truncated { .. } | Problem::Malformed(_)),
            "{bytes:?}: {found}"
        );
    }
}

#[test]
fn a_remembered_place_of_four_billion_costs_nothing() {
    assert_eq!(
        items(b"](K\x01r\xff\xff\xff\xffj\xff\xff\xff\xffe."),
        [Object::Int(1), Object::Int(1)]
    );
    assert_eq!(problem(b"h\x05."), Problem::NotRemembered(5));
    assert_eq!(
        problem(b"p-1\n."),
        Problem::Malformed("a place in the memo that is no number")
    );
}

#[test]
fn deep_nesting_neither_overflows_nor_passes_the_limit() {
    // Lists in lists: [[[...]]].
    let count = 300_000;
    let mut lists = vec![b']'; count];
    lists.extend(vec![b'a'; count - 1]);
    lists.push(b'.');
    drop(read(&lists).unwrap());
    // Tuples in tuples, and tuples that double.
    let mut tuples = b"N".to_vec();
    tuples.extend(vec![0x85; count]);
    tuples.push(b'.');
    drop(read(&tuples).unwrap());
    let mut doubling = b"N".to_vec();
    doubling.extend(b"2\x86".repeat(10_000));
    doubling.push(b'.');
    assert!(read(&doubling).unwrap().count() < 20_000);
    let mut marks = vec![b'('; count];
    marks.push(b'.');
    assert!(matches!(problem(&marks), Problem::TooMany { of: "open marks", .. }));
}

#[test]
fn copies_of_copies_are_bounded() {
    // A large list, remembered, from which a thousand others are made.
    let mut bytes = b"](".to_vec();
    bytes.extend(vec![b'N'; 100_000]);
    bytes.extend(b"e\x85q\x000c__builtin__\nset\nq\x010");
    bytes.extend(b"h\x01h\x00R0".repeat(1000));
    bytes.extend(b"N.");
    assert_eq!(problem(&bytes), Problem::Limit(OverLimit::Again));
}

#[test]
fn memory_is_bounded_whatever_takes_it_and_the_bound_can_be_raised() {
    let most = ReadLimit::new(1 << 20);
    let read = |bytes: &[u8], limit| load(&[bytes, b"."].concat(), allowed, limit).map_err(|error| error.what);
    let fill = |opcodes: &[u8]| opcodes.repeat(400_000);
    let inputs = [
        fill(b"]"),
        fill(b"}"),
        fill(b"N\x85"),
        [b"N".to_vec(), fill(b"\x94")].concat(),
        fill(b"cab\ncd\n"),
        fill(b"]K\x01a"),
    ];
    for input in inputs {
        let what = read(&input, most);
        let fits = what.is_ok();
        assert!(
            fits || matches!(what, Err(Problem::Limit(OverLimit::Memory(_)))),
            "{what:?}"
        );
        assert!(!fits || input.ends_with(b"\x94"), "{:?}", &input[..4]);
        assert!(read(&input, ReadLimit::new(1 << 30)).is_ok());
    }
}

/// A checkpoint of a million chunks has an index of hundreds of megabytes, beside which the memory that every file is given is
/// little.
#[cfg(fabric_repository)]
#[test]
fn an_index_that_pytorch_wrote_takes_no_more_than_its_share() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pytorch");
    for directory in ["continued/dcp", "dcp_fsdp2", "dcp_hsdp4", "dcp_single"] {
        let bytes = std::fs::read(fixtures.join(directory).join(".metadata")).unwrap();
        let read = load(&bytes, |_, _| Some(Meaning::Keep), ReadLimit::new(0));
        read.unwrap_or_else(|error| panic!("{directory}: {error}"));
    }
}

#[test]
fn opcodes_that_describe_no_data_are_refused() {
    for opcode in [0x82, 0x83, 0x84, 0x97, 0x98, b'!', 0xff, 0] {
        assert_eq!(
            problem(&[opcode, b'.', b'.', b'.', b'.', b'.']),
            Problem::UnknownOpcode(opcode)
        );
    }
    assert_eq!(problem(b"\x80\x06."), Problem::Protocol(6));
}

#[test]
fn every_short_input_is_an_answer_or_an_error() {
    // All programs of two opcodes after a little preparation.
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            let mut bytes = b"}]K\x01(X\x01\0\0\0aq\x00)".to_vec();
            bytes.extend([first, second, 1, 0, 0, 0, b'\n', b'\n', b'.', b'.', b'.']);
            let _ = read(&bytes);
        }
    }
}
