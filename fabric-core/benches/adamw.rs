//! One step of `AdamW` beside candle's own, on the same parameter: medians of seven, and their ratio.
//!
//! `FABRIC_BENCH_ELEMENTS` sets the number of elements (100,000,000 by default), which candle needs about ten copies
//! of.

use std::time::{Duration, Instant};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use fabric_core::optim::{AdamW, Optimizer};

const RUNS: usize = 7;

fn main() -> Result<()> {
    let elements = std::env::var("FABRIC_BENCH_ELEMENTS").ok();
    let elements = elements.and_then(|text| text.parse().ok()).unwrap_or(100_000_000);
    println!("{elements} elements, medians of {RUNS}");
    for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
        let ours = median(elements, dtype, AdamW::new_lr)?;
        let theirs = median(elements, dtype, candle_nn::AdamW::new_lr)?;
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
        println!(
            "{:>4}: ours {ours:>9.1?}, candle's {theirs:>9.1?}, ratio {ratio:.2}",
            dtype.as_str()
        );
    }
    Ok(())
}

/// The median time of a step, after one that touches all memory.
fn median<O: Optimizer>(elements: usize, dtype: DType, new: impl Fn(Vec<Var>, f64) -> Result<O>) -> Result<Duration> {
    let weight = Var::rand(-1f64, 1.0, elements.min(1 << 16), &Device::Cpu)?;
    let tile = |tensor: &Tensor| {
        tensor
            .to_dtype(dtype)?
            .repeat(elements.div_ceil(1 << 16))?
            .narrow(0, 0, elements)
    };
    let weight = Var::from_tensor(&tile(&weight.as_detached_tensor())?)?;
    let mut grads = GradStore::default();
    grads.insert(&weight, (weight.as_detached_tensor() * 0.5)?);
    let mut optimizer = new(vec![weight], 1e-3)?;
    optimizer.step(&grads)?;
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let begin = Instant::now();
        optimizer.step(&grads)?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok(times[RUNS / 2])
}
