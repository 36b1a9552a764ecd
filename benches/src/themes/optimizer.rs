//! One step of `AdamW` beside candle's own, on parameters of equal size.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use fabric_core::optim::{AdamW, Optimizer};

use super::Bench;
use crate::Outcome;
use crate::figures::{Kind, Table, Theme};
use crate::measured::float;
use crate::table::{duration, number};
use crate::timing::{Task, in_turn};

const OURS: &str = "AdamW";
const CANDLE: &str = "candle_nn AdamW";

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("The optimizer");
    theme.note("One step of one parameter. Tests show that both optimizers give bit-identical results in every dtype.");
    let mut rows = Vec::new();
    for (dtype, elements) in [
        (DType::F32, 100_000_000),
        (DType::F64, 10_000_000),
        (DType::BF16, 10_000_000),
        (DType::F16, 10_000_000),
    ] {
        let elements = bench.scaled(elements);
        let mut ours = Step::new(elements, dtype, AdamW::new_lr)?;
        let mut theirs = Step::new(elements, dtype, candle_nn::AdamW::new_lr)?;
        let tasks = vec![
            Task::new(Kind::Ours, OURS, || Ok(ours.take()?)),
            Task::new(Kind::Peer, CANDLE, || Ok(theirs.take()?)),
        ];
        let measured = in_turn(tasks, bench.runs())?;
        let [Some(ours), Some(theirs)] = [OURS, CANDLE].map(|name| measured.seconds(name)) else {
            continue;
        };
        let ratio = theirs / ours;
        let millions = number(float(elements) / 1e6);
        let parameter = format!("{millions} million {}", dtype.as_str());
        rows.push(vec![parameter, duration(ours), duration(theirs), number(ratio)]);
        if dtype == DType::F32 {
            theme.at_least(
                "`AdamW` step, 100 million f32 / `candle_nn::AdamW` step",
                3.,
                Some(ratio),
            );
        }
    }
    theme.tables.push(Table {
        caption: "One step".to_owned(),
        head: ["parameter", "AdamW", "candle's", "candle's time / AdamW's time"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    Ok(theme)
}

/// An optimizer of one parameter, and its gradient.
struct Step<O> {
    optimizer: O,
    grads: GradStore,
}

impl<O: Optimizer> Step<O> {
    fn new(elements: usize, dtype: DType, new: impl Fn(Vec<Var>, f64) -> Result<O>) -> Result<Self> {
        const TILE: usize = 1 << 16;
        let tile = Tensor::rand(-1f32, 1., TILE, &Device::Cpu)?.to_dtype(dtype)?;
        let weight = Var::from_tensor(&tile.repeat(elements.div_ceil(TILE))?.narrow(0, 0, elements)?)?;
        let mut grads = GradStore::default();
        grads.insert(&weight, (weight.as_detached_tensor() * 0.5)?);
        let optimizer = new(vec![weight], 1e-3)?;
        Ok(Self { optimizer, grads })
    }

    fn take(&mut self) -> Result<()> {
        self.optimizer.step(&self.grads)
    }
}
