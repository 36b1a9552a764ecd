//! A save in the background takes the staging memory beside what a plain save takes, whatever the size of the state, and
//! makes it once.

use candle_core::{DType, Device, Tensor};
use fabric_core::Fabric;
use testkit::allocations::tally;

use crate::alone;

const STAGING: usize = 8 << 20;
const FEW_MIB: usize = 4 << 20;

#[test]
fn a_save_in_the_background_takes_the_staging_beside_what_a_plain_save_takes() {
    alone(
        "background::a_save_in_the_background_takes_the_staging_beside_what_a_plain_save_takes",
        || {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("large.ckpt");
            for elements in [4 << 20, 24 << 20] {
                let fabric = Fabric::builder().staging(STAGING).build().expect("one device");
                let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("memory");
                let strided = zeros(&[1 << 10, elements >> 12]).t().expect("a matrix");
                let small: Vec<Tensor> = (0..100).map(|_| zeros(&[16])).collect();
                let state = (zeros(&[elements]), strided, small);
                let (saved, plain) = tally(|| fabric.save(&path, &state));
                saved.expect("a save");
                let save = || fabric.save_async(&path, &state).and_then(fabric_core::Saving::wait);
                let (saved, first) = tally(save);
                saved.expect("a save");
                let (saved, second) = tally(save);
                saved.expect("a save");
                let all = format!("{elements} elements: {plain:?}, then {first:?}, then {second:?}");
                assert!(first.peak <= plain.peak + STAGING + FEW_MIB, "{all}");
                assert!(second.peak <= plain.peak + FEW_MIB, "{all}");
                assert!(
                    first.total >= second.total + STAGING / 2,
                    "the staging is used again: {all}"
                );
            }
        },
    );
}
