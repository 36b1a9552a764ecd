//! A step of an optimizer takes no memory: a counting allocator looks for temporaries.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use fabric_core::optim::{AdamW, Optimizer, ParamsSgd, Sgd};
use testkit::allocations::tally;

use crate::alone;

/// The bytes that one step takes, after a first one.
fn bytes_of_a_step(mut optimizer: impl Optimizer, grads: &GradStore) -> usize {
    optimizer.step(grads).unwrap();
    let (outcome, tally) = tally(|| optimizer.step(grads));
    outcome.unwrap();
    tally.total
}

fn bytes_of_each_optimizer(elements: usize, dtype: DType) -> [usize; 3] {
    let weight = Var::zeros(elements, dtype, &Device::Cpu).unwrap();
    let vars = vec![weight.clone()];
    let mut grads = GradStore::default();
    grads.insert(&weight, Tensor::ones(elements, dtype, &Device::Cpu).unwrap());
    let momentum = ParamsSgd {
        momentum: 0.9,
        weight_decay: 0.1,
        ..ParamsSgd::from(0.1)
    };
    [
        bytes_of_a_step(AdamW::new_lr(vars.clone(), 0.1).unwrap(), &grads),
        bytes_of_a_step(Sgd::new(vars.clone(), 0.1).unwrap(), &grads),
        bytes_of_a_step(Sgd::new(vars, momentum).unwrap(), &grads),
    ]
}

/// What the counter must see: candle's own step, which makes a tensor for every operation.
fn bytes_of_candles_step(elements: usize) -> usize {
    let weight = Var::zeros(elements, DType::F32, &Device::Cpu).unwrap();
    let mut grads = GradStore::default();
    grads.insert(&weight, Tensor::ones(elements, DType::F32, &Device::Cpu).unwrap());
    bytes_of_a_step(candle_nn::AdamW::new_lr(vec![weight], 0.1).unwrap(), &grads)
}

#[test]
fn a_step_makes_no_temporaries() {
    alone("optim::a_step_makes_no_temporaries", || {
        assert!(bytes_of_candles_step(100_000) > 400_000, "the counter does not count");
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            for bytes in bytes_of_each_optimizer(100_000, dtype) {
                assert!(bytes < 256, "{dtype:?}: {bytes} bytes for 100,000 elements");
            }
            // What remains are the handles of further threads.
            for bytes in bytes_of_each_optimizer(2_000_000, dtype) {
                assert!(bytes < 64 << 10, "{dtype:?}: {bytes} bytes for 2,000,000 elements");
            }
        }
    });
}
