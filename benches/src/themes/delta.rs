//! Deltas of weights: how small they are, and the rates of writing and applying them.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use fabric_core::{ApplyOptions, DeltaOptions, Durability, ExportOptions, Fabric, SaveOptions};

use super::Bench;
use crate::Outcome;
use crate::figures::{Kind, Table, Theme};
use crate::measured::{float, rate};
use crate::table::{number, size};
use crate::timing::{Task, in_turn};

const EXPORT: &str = "Fabric export";
const DELTA: &str = "Fabric export_delta";
const DELTA_OF_F32: &str = "Fabric export_delta, f32 to bf16";
const APPLY: &str = "Fabric apply_delta";

const TENSORS: usize = 16;

/// The training steps, the change of a weight that leaves the share of equal elements which training has, and how many times
/// smaller a delta should be.
const STEPS: [(usize, f32, f64); 3] = [(1, 5.2e-7, 51.), (10, 3.6e-6, 12.), (100, 3.3e-5, 5.)];

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Deltas of weights");
    let bytes = bench.scaled(256 << 20);
    theme.note(
        "The weights are random numbers of a normal distribution, as bf16, and each moves by a random number, so that as many are \
         equal as after 1, 10 and 100 steps at a learning rate of 3e-6. Rates are bytes of the full file by the time of the call, which \
         runs on one thread; files are in the page cache and not synced.",
    );
    let mut rows = Vec::new();
    for (steps, step, aim) in STEPS {
        let weights = Weights::new(bytes, step)?;
        rows.push(one(bench, &mut theme, &weights, (steps, aim))?);
    }
    theme.tables.push(Table {
        caption: format!("Deltas of {} of bf16 weights, in {TENSORS} tensors", size(float(bytes))),
        head: [
            "steps",
            "equal",
            "delta",
            "times smaller",
            DELTA,
            DELTA_OF_F32,
            APPLY,
            EXPORT,
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    });
    Ok(theme)
}

/// Writes and applies one delta.
fn one(bench: &Bench, theme: &mut Theme, weights: &Weights, (steps, aim): (usize, f64)) -> Outcome<Vec<String>> {
    let [old, new, wide, base, delta, made] = [
        "old.ckpt",
        "new.ckpt",
        "wide.ckpt",
        "base.safetensors",
        "step.delta",
        "made.safetensors",
    ]
    .map(|name| bench.path(name));
    let fabric = &Fabric::new();
    let relaxed = || SaveOptions::new().durability(Durability::Relaxed);
    let whole = || ExportOptions::new().durability(Durability::Relaxed);
    fabric.save_with(&old, &weights.old, relaxed())?;
    fabric.save_with(&new, &weights.new, relaxed())?;
    fabric.save_with(&wide, &weights.wide, relaxed())?;
    fabric.export(&old, &base, whole())?;
    let options = || DeltaOptions::new().durability(Durability::Relaxed);
    let report = fabric.export_delta(&new, &base, &delta, options())?;
    let tasks = vec![
        Task::new(Kind::Floor, EXPORT, || {
            Ok(fabric.export(&new, &made, whole()).map(drop)?)
        })
        .making(&made),
        Task::new(Kind::Ours, DELTA_OF_F32, || {
            let options = options().dtype(fabric_core::DType::BF16);
            Ok(fabric.export_delta(&wide, &base, &delta, options).map(drop)?)
        }),
        Task::new(Kind::Ours, DELTA, || {
            Ok(fabric.export_delta(&new, &base, &delta, options()).map(drop)?)
        }),
        Task::new(Kind::Ours, APPLY, || {
            let options = ApplyOptions::new().durability(Durability::Relaxed);
            Ok(fabric.apply_delta_with(&base, &delta, &made, options).map(drop)?)
        })
        .making(&made),
    ];
    let measured = in_turn(tasks, bench.runs())?;
    let full = usize::try_from(report.full_bytes)?;
    let rate_of = |name: &str| rate(full, measured.seconds(name).unwrap_or(f64::NAN));
    let smaller = float(full) / float(usize::try_from(report.bytes)?);
    let equal = 1. - float(usize::try_from(report.changed_elements)?) / float(usize::try_from(report.elements)?);
    theme.at_least(
        &format!("delta after {steps} steps, times smaller than the full file"),
        aim,
        Some(smaller),
    );
    theme.at_least(
        &format!("delta after {steps} steps, encoding on one core, GB/s"),
        1.,
        Some(rate_of(DELTA)),
    );
    let rates = [DELTA, DELTA_OF_F32, APPLY, EXPORT].map(|name| format!("{} GB/s", number(rate_of(name))));
    let first = [
        steps.to_string(),
        format!("{} %", number(100. * equal)),
        size(float(usize::try_from(report.bytes)?)),
        format!("{}x", number(smaller)),
    ];
    Ok(first.into_iter().chain(rates).collect())
}

/// The weights before and after some steps.
struct Weights {
    old: BTreeMap<String, Tensor>,
    new: BTreeMap<String, Tensor>,
    /// The new ones as `f32`.
    wide: BTreeMap<String, Tensor>,
}

impl Weights {
    fn new(bytes: usize, step: f32) -> Outcome<Self> {
        let mut weights = Self {
            old: BTreeMap::new(),
            new: BTreeMap::new(),
            wide: BTreeMap::new(),
        };
        for number in 0..TENSORS {
            let name = format!("layer{number:02}.weight");
            let elements = bytes / 2 / TENSORS;
            let weight = Tensor::randn(0f32, 0.02, elements, &Device::Cpu)?;
            let moved = (&weight + Tensor::randn(0f32, step, elements, &Device::Cpu)?)?;
            weights.old.insert(name.clone(), weight.to_dtype(DType::BF16)?);
            weights.new.insert(name.clone(), moved.to_dtype(DType::BF16)?);
            weights.wide.insert(name, moved);
        }
        Ok(weights)
    }
}
