use proptest::prelude::*;
use safetensors::SafeTensors;

use super::*;
use crate::format::safetensors::{Header, HeaderError};

fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
    Header::parse(bytes, bytes.len() as u64)
}

fn info(dtype: DType, shape: &[usize]) -> TensorInfo {
    TensorInfo::new(dtype, shape.to_vec())
}

fn named(tensors: &[(&str, DType, &[usize])]) -> Vec<(String, TensorInfo)> {
    tensors
        .iter()
        .map(|(name, dtype, shape)| ((*name).to_owned(), info(*dtype, shape)))
        .collect()
}

fn layout(tensors: &[(&str, DType, &[usize])], manifest_len: Option<u64>) -> Result<FileLayout, LayoutError> {
    FileLayout::new(named(tensors), &BTreeMap::new(), manifest_len)
}

/// The whole file of a layout, tensors filled with their number.
fn filled(layout: &FileLayout) -> Vec<u8> {
    let mut bytes = layout.header.clone();
    for (tensor, fill) in layout.tensors.iter().zip(1u8..) {
        assert_eq!(bytes.len() as u64, tensor.start);
        bytes.resize(usize::try_from(tensor.end).unwrap(), fill);
    }
    assert_eq!(bytes.len() as u64, layout.file_len);
    bytes
}

#[test]
fn a_layout_aligns_the_data_and_every_tensor_and_puts_the_manifest_last() {
    let tensors: &[(&str, DType, &[usize])] = &[
        ("bytes", DType::U8, &[3]),
        ("b.weight", DType::F32, &[2, 3]),
        ("a.half", DType::F16, &[5]),
        ("count", DType::I64, &[]),
        ("a.weight", DType::F32, &[1]),
        ("mask", DType::Bool, &[7]),
        ("empty", DType::F64, &[0, 9]),
    ];
    let layout = layout(tensors, Some(100)).unwrap();
    let names: Vec<_> = layout.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "count",
            "empty",
            "a.weight",
            "b.weight",
            "a.half",
            "bytes",
            "mask",
            "__fabric__"
        ]
    );
    assert_eq!(layout.tensors[0].start, 2048);
    for tensor in &layout.tensors {
        assert_eq!(
            tensor.start % (tensor.info.dtype().bits() as u64 / 8),
            0,
            "{}",
            tensor.name
        );
    }
    let header = read(&filled(&layout)).unwrap();
    assert_eq!(header.tensors, layout.tensors);
    assert_eq!(header.manifest().unwrap(), layout.tensors.last());
}

#[test]
fn the_order_in_which_tensors_come_changes_no_byte() {
    let mut tensors: Vec<(&str, DType, &[usize])> = vec![
        ("a", DType::F32, &[1]),
        ("b", DType::F32, &[2]),
        ("c", DType::U8, &[3]),
        ("d", DType::F64, &[4]),
    ];
    let first = layout(&tensors, Some(8)).unwrap();
    tensors.reverse();
    assert_eq!(layout(&tensors, Some(8)).unwrap(), first);
}

#[test]
fn a_file_without_a_manifest_bears_no_mark() {
    let plain = layout(&[("a", DType::F32, &[1])], None).unwrap();
    let header = read(&filled(&plain)).unwrap();
    assert_eq!((header.manifest(), header.metadata.len()), (Ok(None), 0));
}

#[test]
fn a_layout_refuses_what_readers_would() {
    let refusal = |tensors: &[(&str, DType, &[usize])]| layout(tensors, None).unwrap_err();
    assert_eq!(
        refusal(&[("a", DType::U8, &[1]), ("a", DType::U8, &[1])]),
        LayoutError::Duplicate("a".to_owned())
    );
    let apart: &[(&str, DType, &[usize])] = &[("a", DType::U8, &[1]), ("b", DType::F16, &[1]), ("a", DType::F32, &[1])];
    assert_eq!(refusal(apart), LayoutError::Duplicate("a".to_owned()));
    for name in ["", "__fabric__", "__metadata__", "a..b", "a\nb"] {
        assert!(
            matches!(refusal(&[(name, DType::U8, &[1])]), LayoutError::Name { .. }),
            "{name:?}"
        );
    }
    assert!(matches!(
        refusal(&[("a", DType::C128, &[1])]),
        LayoutError::DType { .. }
    ));
    assert!(matches!(
        refusal(&[("a", DType::Other, &[1])]),
        LayoutError::DType { .. }
    ));
    assert!(matches!(refusal(&[("a", DType::F4, &[3])]), LayoutError::Ragged { .. }));
    assert!(matches!(
        refusal(&[("a", DType::U8, &[usize::MAX, 2])]),
        LayoutError::TooLarge { .. }
    ));
    let huge: &[usize] = &[usize::MAX / 8];
    let sum: Vec<(&str, DType, &[usize])> = ["a", "b", "c", "d", "e"].map(|name| (name, DType::U8, huge)).to_vec();
    assert!(matches!(refusal(&sum), LayoutError::TooLarge { .. }));
}

#[test]
fn a_header_longer_than_readers_accept_is_not_written() {
    let name = |i: usize| format!("{}{i}", "x".repeat(4000));
    let tensors = (0..25_000).map(|i| (name(i), info(DType::U8, &[0]))).collect();
    assert!(matches!(
        FileLayout::new(tensors, &BTreeMap::new(), None),
        Err(LayoutError::HeaderTooLong(_))
    ));
}

#[test]
fn the_safetensors_library_reads_what_a_layout_writes() {
    let tensors: &[(&str, DType, &[usize])] = &[
        ("quoted \"name\" \\ é", DType::F32, &[2, 3]),
        ("f4", DType::F4, &[4]),
        ("f6", DType::F6E2M3, &[4]),
        ("c", DType::C64, &[1]),
        ("s", DType::BF16, &[]),
        ("none", DType::I8, &[4, 0]),
    ];
    let metadata = BTreeMap::from([
        ("z".to_owned(), "\"\n\u{1}".to_owned()),
        ("format".to_owned(), "pt".to_owned()),
    ]);
    let layout = FileLayout::new(named(tensors), &metadata, Some(5)).unwrap();
    let bytes = filled(&layout);
    let theirs = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.len(), tensors.len() + 1);
    for placed in &layout.tensors {
        let view = theirs.tensor(&placed.name).unwrap();
        assert_eq!(view.shape(), placed.info.shape());
        assert_eq!(view.dtype().to_string(), placed.info.dtype().name());
        let range = usize::try_from(placed.start).unwrap()..usize::try_from(placed.end).unwrap();
        assert_eq!(view.data(), &bytes[range]);
    }
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let read_back: BTreeMap<_, _> = header.metadata().clone().unwrap().into_iter().collect();
    assert_eq!(read_back["z"], metadata["z"]);
    assert_eq!(read_back["fabric"], "1");
}

#[test]
fn candle_reads_what_a_layout_writes() {
    let layout = layout(&[("w", DType::F32, &[2]), ("n", DType::I64, &[1])], Some(3)).unwrap();
    let mut bytes = layout.header.clone();
    bytes.extend([7, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()));
    bytes.extend([1, 2, 3]);
    let read = candle_core::safetensors::load_buffer(&bytes, &candle_core::Device::Cpu).unwrap();
    assert_eq!(read["w"].to_vec1::<f32>().unwrap(), [1.5, -2.0]);
    assert_eq!(read["n"].to_vec1::<i64>().unwrap(), [7]);
    assert_eq!(read["__fabric__"].to_vec1::<u8>().unwrap(), [1, 2, 3]);
}

fn any_tensors() -> impl Strategy<Value = BTreeMap<String, TensorInfo>> {
    let dtypes = [
        DType::Bool,
        DType::U8,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::I64,
        DType::C64,
        DType::F8E4M3,
    ];
    let info = (
        prop::sample::select(dtypes.to_vec()),
        prop::collection::vec(0..5usize, 0..4),
    );
    let info = info.prop_map(|(dtype, shape)| TensorInfo::new(dtype, shape));
    prop::collection::btree_map("[a-zé\"\\\\ ]{1,6}(\\.[a-z0-9]{1,4}){0,2}", info, 0..8)
}

proptest! {
    #[test]
    fn any_layout_is_read_back_by_us_and_by_the_library(
        tensors in any_tensors(),
        metadata in prop::collection::btree_map(".{0,8}", ".{0,8}", 0..3),
        manifest_len in prop::option::of(0..9u64),
    ) {
        let layout = FileLayout::new(tensors.into_iter().collect(), &metadata, manifest_len).unwrap();
        prop_assert_eq!(layout.header.len() % 4096, 2048);
        let bytes = filled(&layout);
        let mut header = read(&bytes).unwrap();
        prop_assert_eq!(header.manifest().unwrap().is_some(), manifest_len.is_some() || metadata.contains_key("fabric"));
        prop_assert_eq!(&header.tensors, &layout.tensors);
        if manifest_len.is_some() {
            header.metadata.remove("fabric");
        }
        prop_assert_eq!(header.metadata, metadata);
        prop_assert_eq!(SafeTensors::deserialize(&bytes).unwrap().len(), layout.tensors.len());
    }

    /// Bytes that are nearly a file: no panic, and nothing is accepted that the reference reader refuses.
    #[test]
    fn mangled_headers_are_accepted_only_if_the_library_accepts_them(
        tensors in any_tensors(),
        edits in prop::collection::vec((0..600usize, any::<u8>()), 1..4),
    ) {
        let layout = FileLayout::new(tensors.into_iter().collect(), &BTreeMap::new(), None).unwrap();
        let mut bytes = filled(&layout);
        let json = layout.header.iter().rposition(|&b| b == b'}').unwrap() + 1;
        for (at, byte) in edits {
            bytes[at % json] = byte;
        }
        if let Ok(header) = read(&bytes) {
            let theirs = SafeTensors::deserialize(&bytes);
            prop_assert!(theirs.is_ok(), "{:?} {:?}", theirs.err(), header);
            prop_assert_eq!(theirs.unwrap().len(), header.tensors.len());
        }
    }
}
