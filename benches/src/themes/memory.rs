//! The memory that a save and a load need beside the state.

use std::time::Duration;

use candle_nn::VarMap;
use fabric_core::Fabric;

use super::Bench;
use crate::Outcome;
use crate::figures::{Axis, Lines, Plot, Series, Table, Theme};
use crate::measured::float;
use crate::resident::{Sample, now, over_time, peak_of};
use crate::states::{Form, state};
use crate::table::{number, size};

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Memory");
    theme.note("The most that the process had in memory, beyond what it had before; pages of mapped files count.");
    let fabric = Fabric::new();
    let mut rows = Vec::new();
    let mut highest = 0f64;
    for mib in [256, 1024, 4096] {
        let bytes = bench.scaled(mib << 20);
        let mut variables = state(Form {
            tensors: 64,
            each: bytes / 64,
        })?;
        let path = bench.path("ours.ckpt");
        let saving = peak_of(|| Ok(fabric.save(&path, &variables).map(drop)?))?;
        let loading = peak_of(|| Ok(fabric.load(&path, &mut variables).map(drop)?))?;
        highest = highest.max(saving).max(loading);
        rows.push(vec![size(float(bytes)), mebibytes(saving), mebibytes(loading)]);
        if mib == 1024 {
            theme
                .plots
                .push(Plot::Lines(side_by_side(bench, &fabric, &mut variables)?));
        }
        crate::files::remove(&path)?;
    }
    theme.tables.push(Table {
        caption: "Peaks beside the state".to_owned(),
        head: ["size of the state", "durable save", "load in place"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    theme.at_most(
        "memory beside the state, 256 MiB to 4 GiB, save and load",
        64.,
        "MiB",
        Some(highest),
    );
    Ok(theme)
}

/// A save and a load, by this library and by candle.
fn side_by_side(bench: &Bench, fabric: &Fabric, variables: &mut VarMap) -> Outcome<Lines> {
    const EVERY: Duration = Duration::from_millis(2);
    let (ours, plain) = (bench.path("watched.ckpt"), bench.path("watched.safetensors"));
    let before = now()?;
    let of_ours = over_time(EVERY, || {
        fabric.save(&ours, variables)?;
        Ok(fabric.load(&ours, variables).map(drop)?)
    })?;
    let before_candle = now()?;
    let of_candle = over_time(EVERY, || {
        variables.save(&plain)?;
        Ok(variables.load(&plain)?)
    })?;
    let series = |name: &str, before: f64, samples: Vec<Sample>| Series {
        name: name.to_owned(),
        floor: false,
        points: samples
            .into_iter()
            .map(|(at, resident)| (at, (resident - before).max(0.)))
            .collect(),
    };
    let axis = |label: &str| Axis {
        label: label.to_owned(),
        logarithmic: false,
        bytes: false,
    };
    crate::files::remove(&ours)?;
    crate::files::remove(&plain)?;
    Ok(Lines {
        name: "memory".to_owned(),
        title: "Memory beside a state of 1 GiB while it is saved, then loaded".to_owned(),
        x: axis("seconds"),
        y: axis("MiB"),
        series: vec![
            series("save (durable), load in place", before, of_ours),
            series(
                "candle VarMap::save (not synced), VarMap::load",
                before_candle,
                of_candle,
            ),
        ],
    })
}

fn mebibytes(value: f64) -> String {
    format!("{} MiB", number(value))
}
