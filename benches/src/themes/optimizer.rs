//! One step of `AdamW` beside candle's own, and of each optimizer beside the same one in candle's operations, on parameters of equal
//! size.

mod plain;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use fabric_core::optim::{
    Adam, AdamW, Lion, Optimizer, ParamsAdam, ParamsAdamW, ParamsLion, ParamsRmsProp, ParamsSgd, RmsProp, Sgd,
};

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
        let weight = weight(elements, dtype)?;
        let mut ours = Step::new(&weight, |vars| stepper(AdamW::new_lr(vars, 1e-3)))?;
        let mut theirs = Step::new(&weight, |vars| stepper(candle_nn::AdamW::new_lr(vars, 1e-3)))?;
        drop(weight);
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
    beside_plain(bench, &mut theme)?;
    Ok(theme)
}

/// The number of elements of the parameter that is updated beside the plain optimizers.
const ELEMENTS: usize = 10_000_000;

/// Measures each optimizer beside the same one in candle's operations.
fn beside_plain(bench: &Bench, theme: &mut Theme) -> Outcome {
    let elements = bench.scaled(ELEMENTS);
    let mut rows = Vec::new();
    for pair in pairs(elements)? {
        let name = pair.name;
        if let Some((ours, plain)) = pair.measure(bench.runs())? {
            let ratio = plain / ours;
            rows.push(vec![name.to_owned(), duration(ours), duration(plain), number(ratio)]);
            let figure = format!("`{name}` step, 10 million f32 / the same step in candle's operations");
            theme.at_least(&figure, 3., Some(ratio));
        }
    }
    let millions = number(float(elements) / 1e6);
    theme.tables.push(Table {
        caption: format!("One step of {millions} million f32, beside the same optimizer in candle's operations"),
        head: [
            "optimizer",
            "Fabric",
            "candle's operations",
            "their time / Fabric's time",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    });
    Ok(())
}

/// An optimizer and the same one in candle's operations, each over a parameter of its own.
struct Pair {
    name: &'static str,
    ours: Step,
    plain: Step,
}

/// The pairs, with equal parameters and gradients.
fn pairs(elements: usize) -> Result<Vec<Pair>> {
    let weight = &weight(elements, DType::F32)?;
    let pair = |name, ours: fn(Vec<Var>) -> Result<Stepper>, state, formula| {
        Ok(Pair {
            name,
            ours: Step::new(weight, ours)?,
            plain: Step::new(weight, |vars| plain::optimizer(vars[0].clone(), state, formula))?,
        })
    };
    [
        pair(
            "AdamW",
            |vars| stepper(AdamW::new(vars, ParamsAdamW::default())),
            2,
            plain::adamw,
        ),
        pair(
            "Adam",
            |vars| stepper(Adam::new(vars, ParamsAdam::default())),
            2,
            plain::adam,
        ),
        pair("Sgd", |vars| stepper(Sgd::new(vars, sgd_params())), 1, plain::sgd),
        pair(
            "RmsProp",
            |vars| stepper(RmsProp::new(vars, ParamsRmsProp::default())),
            1,
            plain::rmsprop,
        ),
        pair(
            "Lion",
            |vars| stepper(Lion::new(vars, ParamsLion::default())),
            1,
            plain::lion,
        ),
    ]
    .into_iter()
    .collect()
}

/// The default hyper-parameters have no momentum, and a step without one is two operations.
fn sgd_params() -> ParamsSgd {
    ParamsSgd {
        momentum: 0.9,
        ..ParamsSgd::default()
    }
}

impl Pair {
    /// The median times of a step, ours and the plain one. Afterwards both parameters have the same elements.
    fn measure(mut self, runs: usize) -> Outcome<Option<(f64, f64)>> {
        const PLAIN: &str = "candle's operations";
        let tasks = vec![
            Task::new(Kind::Ours, self.name, || Ok(self.ours.take()?)),
            Task::new(Kind::Peer, PLAIN, || Ok(self.plain.take()?)),
        ];
        let measured = in_turn(tasks, runs)?;
        let times = measured.seconds(self.name).zip(measured.seconds(PLAIN));
        self.assert_equal()?;
        Ok(times)
    }

    /// # Errors
    /// If an element of one parameter is not within 1e-5 of that of the other.
    fn assert_equal(&self) -> Outcome {
        let apart = (self.ours.weight.as_tensor() - self.plain.weight.as_tensor())?.abs()?;
        let most: f32 = apart.flatten_all()?.max(0)?.to_scalar()?;
        if most <= 1e-5 {
            return Ok(());
        }
        Err(format!(
            "the parameters of {} and of candle's operations differ by {most}",
            self.name
        )
        .into())
    }
}

/// A step with these gradients.
type Stepper = Box<dyn FnMut(&GradStore) -> Result<()>>;

fn stepper(optimizer: Result<impl Optimizer + 'static>) -> Result<Stepper> {
    let mut optimizer = optimizer?;
    Ok(Box::new(move |grads| optimizer.step(grads)))
}

/// An optimizer of one parameter, and its gradient.
struct Step {
    weight: Var,
    grads: GradStore,
    optimizer: Stepper,
}

fn weight(elements: usize, dtype: DType) -> Result<Tensor> {
    const TILE: usize = 1 << 16;
    let tile = Tensor::rand(-1f32, 1., TILE, &Device::Cpu)?.to_dtype(dtype)?;
    tile.repeat(elements.div_ceil(TILE))?.narrow(0, 0, elements)
}

impl Step {
    /// An optimizer over a copy of this tensor.
    fn new(weight: &Tensor, new: impl FnOnce(Vec<Var>) -> Result<Stepper>) -> Result<Self> {
        let weight = Var::from_tensor(weight)?;
        let mut grads = GradStore::default();
        grads.insert(&weight, (weight.as_detached_tensor() * 0.5)?);
        let optimizer = new(vec![weight.clone()])?;
        Ok(Self {
            weight,
            grads,
            optimizer,
        })
    }

    fn take(&mut self) -> Result<()> {
        (self.optimizer)(&self.grads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_optimizers_take_the_steps_of_those_that_they_stand_beside() -> Outcome {
        for mut pair in pairs(1000)? {
            let before = pair.ours.weight.copy()?.to_vec1::<f32>()?;
            for _ in 0..5 {
                pair.ours.take()?;
                pair.plain.take()?;
            }
            pair.assert_equal()?;
            assert_ne!(pair.ours.weight.to_vec1::<f32>()?, before, "{}", pair.name);
            pair.ours.take()?;
            assert!(pair.assert_equal().is_err(), "{} is one step ahead", pair.name);
        }
        Ok(())
    }
}
