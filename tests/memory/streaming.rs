//! Statistics and elements take memory that does not grow with the tensor.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use candle_core::{DType, Device, Tensor};
use fabric_core::{Fabric, Strategy};
use testkit::allocations::tally;

#[test]
fn statistics_of_a_large_tensor_take_a_few_mebibytes() {
    let _alone = crate::alone();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let large = Tensor::ones((4096, 4096), DType::F32, &Device::Cpu).unwrap();
    let fabric = Fabric::new();
    fabric
        .save(at("one"), &BTreeMap::from([("w".to_owned(), large)]))
        .unwrap();
    fabric
        .reshard(at("one"), at("three"), Strategy::fsdp().ranks(3))
        .unwrap();
    for name in ["one", "three"] {
        let raw = fabric.open(at(name)).unwrap();
        let (statistics, found) = tally(|| raw.statistics("w").unwrap());
        assert_eq!(statistics.mean, Some(1.));
        assert!(found.peak < 12 << 20, "{name}: {} of 64 MiB", found.peak);
        let (count, found) = tally(|| {
            let mut count = 0;
            raw.elements("w", &[0..4096, 10..4000], |elements| {
                count += elements.len();
                ControlFlow::Continue(())
            })
            .unwrap();
            count
        });
        assert_eq!(count, 4096 * 3990);
        assert!(found.peak < 16 << 20, "{name}: {} of 64 MiB", found.peak);
    }
}

#[test]
fn a_delta_takes_a_few_mebibytes_to_write_and_to_apply() {
    let _alone = crate::alone();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // The thread that reads a file back would allocate beside the calls.
    let storage = fabric_core::storage::Local::new().read_back(false);
    let fabric = Fabric::builder().storage(storage).build().unwrap();
    let save = |name: &str, tensor: Tensor| {
        fabric
            .save(at(name), &BTreeMap::from([("w".to_owned(), tensor)]))
            .unwrap();
    };
    let small = Tensor::arange(0f32, 4096., &Device::Cpu).unwrap();
    let large = small.broadcast_as((4096, 4096)).unwrap().contiguous().unwrap();
    save("1.ckpt", large.clone());
    save("2.ckpt", (large * 1.01).unwrap());
    for dtype in [fabric_core::DType::F32, fabric_core::DType::BF16] {
        let options = fabric_core::ExportOptions::new().dtype(dtype);
        fabric.export(at("1.ckpt"), at("base.safetensors"), options).unwrap();
        let options = fabric_core::DeltaOptions::new().dtype(dtype);
        let (report, found) = tally(|| {
            let made = fabric.export_delta(at("2.ckpt"), at("base.safetensors"), at("delta"), options);
            made.unwrap()
        });
        assert!(report.changed_elements > report.elements / 4, "{report:?}");
        assert!(
            found.peak < 16 << 20,
            "{dtype}: {} of {}",
            found.peak,
            report.full_bytes
        );
        let (report, found) = tally(|| {
            // The writer of a synced file has a queue of its own, whose length does not depend on the file's.
            let options = fabric_core::ApplyOptions::new().durability(fabric_core::Durability::Relaxed);
            let paths = ["base.safetensors", "delta", "new.safetensors"].map(at);
            let [base, delta, new] = &paths;
            fabric.apply_delta_with(base, delta, new, options).unwrap()
        });
        assert!(found.peak < 16 << 20, "{dtype}: {} of {}", found.peak, report.bytes);
    }
}
