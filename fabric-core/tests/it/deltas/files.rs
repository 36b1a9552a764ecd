//! Files of weights before and after a step, and what a delta makes of them.

use std::path::Path;

use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{DeltaOptions, DeltaReport, ExportOptions, Fabric};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use testkit::files::{on, read};

/// The checkpoints before and after a step.
pub(crate) const OLD: &str = "run/1.safetensors";
pub(crate) const NEW: &str = "run/2.safetensors";
/// The export of the old one, which inference holds.
pub(crate) const BASE: &str = "held/weights.safetensors";
pub(crate) const DELTA: &str = "sent/step.delta";
pub(crate) const MADE: &str = "held/new.safetensors";

/// A tensor of a file.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Weights {
    /// A tensor whose bytes follow from a seed.
    pub(crate) fn new(seed: u64, name: &str, dtype: Dtype, shape: &[usize]) -> Self {
        let len = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let mut random = random(seed);
        Self {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            bytes: (0..len).map(|_| random()).collect(),
        }
    }

    /// The tensor after a step: the lowest byte of about one element of `rarity` has grown by 1.
    pub(crate) fn stepped(&self, seed: u64, rarity: u8) -> Self {
        let mut random = random(seed);
        let mut next = self.clone();
        for element in next.bytes.chunks_mut(self.dtype.bitsize() / 8) {
            if random().is_multiple_of(rarity) {
                element[0] = element[0].wrapping_add(1);
            }
        }
        next
    }
}

/// Pseudo-random bytes.
fn random(seed: u64) -> impl FnMut() -> u8 {
    let mut random = testkit::random::random(seed);
    move || random().to_le_bytes()[5]
}

/// A safetensors file with these tensors.
pub(crate) fn file(tensors: &[Weights]) -> Vec<u8> {
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
        (tensor.name.as_str(), view.expect("as many bytes as elements"))
    });
    serialize(views, None).expect("a header")
}

/// Puts a file into a storage, durably, in the place of one that may be there.
pub(crate) fn put(memory: &Memory, path: &str, bytes: &[u8]) {
    let (path, folder) = (Path::new(path), Path::new(path).parent().expect("a file in a folder"));
    memory.create_dir_all(folder).expect("memory");
    if memory.kind(path).expect("memory").is_some() {
        memory.remove_file(path).expect("memory");
    }
    let mut file = memory.create(path).expect("a new file");
    file.write_all(bytes).and_then(|()| file.sync()).expect("memory");
    memory.sync_dir(folder).expect("memory");
}

/// A storage with both checkpoints, and the export of the old one.
pub(crate) fn world(old: &[Weights], new: &[Weights]) -> (Fabric, Memory) {
    let memory = Memory::new();
    put(&memory, OLD, &file(old));
    put(&memory, NEW, &file(new));
    let fabric = on(memory.clone());
    fabric.export(OLD, BASE, ExportOptions::new()).expect("an export");
    (fabric, memory)
}

/// A world with a delta, and the report of it.
pub(crate) fn with_delta(old: &[Weights], new: &[Weights]) -> (Fabric, Memory, DeltaReport) {
    let (fabric, memory) = world(old, new);
    let report = fabric.export_delta(NEW, BASE, DELTA, DeltaOptions::new());
    (fabric, memory, report.expect("a delta"))
}

/// The bytes that an export of the checkpoint at `from` writes.
pub(crate) fn full(fabric: &Fabric, memory: &Memory, from: &str, options: ExportOptions) -> Vec<u8> {
    fabric.export(from, "full.safetensors", options).expect("an export");
    read(memory, "full.safetensors")
}

/// Makes a delta, applies it, and compares the file with that of an export.
pub(crate) fn round_trip(old: &[Weights], new: &[Weights]) -> DeltaReport {
    let (fabric, memory, report) = with_delta(old, new);
    let expected = full(&fabric, &memory, NEW, ExportOptions::new());
    let applied = fabric.apply_delta(BASE, DELTA, MADE).expect("the delta fits");
    assert!(read(&memory, MADE) == expected, "another file than that of an export");
    assert_eq!(applied.bytes, expected.len() as u64);
    assert_eq!((report.bytes, report.full_bytes), (applied.delta_bytes, applied.bytes));
    assert_eq!(report.bytes, read(&memory, DELTA).len() as u64);
    report
}

/// A few small tensors before and after a step.
pub(crate) fn small() -> (Vec<Weights>, Vec<Weights>) {
    let old = vec![
        Weights::new(1, "layer.weight", Dtype::BF16, &[20, 8]),
        Weights::new(2, "layer.bias", Dtype::F32, &[9]),
        Weights::new(3, "ids", Dtype::U8, &[5]),
    ];
    let mut new: Vec<_> = old.iter().map(|tensor| tensor.stepped(4, 6)).collect();
    new[2] = old[2].clone();
    new.push(Weights::new(5, "added", Dtype::I64, &[3]));
    (old, new)
}
