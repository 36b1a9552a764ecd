//! A comparison takes a few blocks for each thread, whatever the size of the tensors, and however they are cut into files.

use candle_core::{DType, Device, Tensor};
use fabric_core::{DiffOptions, ExportOptions, Fabric, Strategy};
use testkit::allocations::tally;

use crate::alone;

/// The pieces of both tensors, their elements as floats, and room to spare, for each of eight threads.
const BUFFERS: usize = 8 * (4 << 20);

#[test]
fn a_comparison_takes_a_few_blocks_for_each_thread() {
    alone("diff::a_comparison_takes_a_few_blocks_for_each_thread", || {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let fabric = Fabric::new();
        for columns in [1 << 18, 4 << 20] {
            let full = |number: f32| Tensor::full(number, (3, columns), &Device::Cpu).expect("memory");
            let saved = |name: &str, number: f32| fabric.save(at(name), &(full(number), 7u64)).expect("a save");
            saved("ones.ckpt", 1.);
            saved("twos.ckpt", 2.);
            let half = full(2.).to_dtype(DType::BF16).expect("bf16");
            fabric.save(at("half.ckpt"), &(half, 7u64)).expect("a save");
            let torch = fabric.export(at("twos.ckpt"), at("twos.pt"), ExportOptions::new());
            torch.expect("an export");
            let shards = fabric.reshard(at("twos.ckpt"), at("shards"), Strategy::fsdp().ranks(7));
            shards.expect("seven files");
            let first = fabric.open(at("ones.ckpt")).expect("saved");
            for name in ["twos.ckpt", "half.ckpt", "twos.pt", "shards"] {
                let second = fabric.open(at(name)).expect("saved");
                let (diff, tally) = tally(|| first.diff(&second, DiffOptions::new()));
                let change = diff.expect("whole").tensors[0].change.expect("numbers");
                assert_eq!(change.elements, 3 * columns as u64, "{name}");
                assert!(tally.peak <= BUFFERS, "{name} of {columns} columns: {tally:?}");
                assert!(tally.largest <= 4 << 20, "{name} of {columns} columns: {tally:?}");
            }
        }
    });
}
