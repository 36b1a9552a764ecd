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
