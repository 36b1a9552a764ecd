//! The memory that a save and a load need beside the state.

use std::process::{Command, Stdio};
use std::time::Duration;

use candle_nn::VarMap;
use fabric_core::Fabric;

use super::Bench;
use crate::figures::{Axis, Lines, Plot, Series, Table, Theme};
use crate::measured::float;
use crate::resident::{Sample, now, over_time, peak_of};
use crate::states::{Form, state};
use crate::table::size;
use crate::{Mode, Outcome};

/// What makes the system's allocator give back what it is given back, at once: what it keeps for later would hide what
/// the next save takes.
const STRICT: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "0")];

/// Measures in a process of its own, whose allocator is strict.
pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    if bench.options.mode == Mode::Child {
        return measure_here(bench);
    }
    in_strict_process(bench, "memory")
}

/// Starts this program again for one theme, with a strict allocator.
pub(super) fn in_strict_process(bench: &Bench, theme: &str) -> Outcome<Theme> {
    let mut child = Command::new(std::env::current_exe()?);
    child
        .args(["--child", "--only", theme, "--dir"])
        .arg(&bench.options.directory)
        .envs(STRICT);
    if bench.options.quick {
        child.arg("--quick");
    }
    let output = child.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the process that measures {theme} failed").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn measure_here(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Memory");
    theme.note(
        "Peak resident memory during the call, minus the resident memory before it. Pages of mapped files count.",
    );
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
                .push(Plot::Lines(side_by_side(bench, &fabric, &mut variables, bytes)?));
        }
        crate::files::remove(&path)?;
    }
    theme.tables.push(Table {
        caption: "Peak memory beside the state".to_owned(),
        head: ["size of the state", "Fabric save", "Fabric load"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    theme.at_most(
        "peak memory beside a state of 256 MiB to 4 GiB, `save` and `load`",
        64.,
        "MiB",
        Some(highest),
    );
    Ok(theme)
}

/// A save and a load, by this library and by candle.
fn side_by_side(bench: &Bench, fabric: &Fabric, variables: &mut VarMap, bytes: usize) -> Outcome<Lines> {
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
        title: format!(
            "Memory beside a state of {} during a save and then a load",
            size(float(bytes))
        ),
        x: axis("seconds"),
        y: axis("MiB (lower is better)"),
        series: vec![
            series("Fabric save (synced), then load", before, of_ours),
            series("candle VarMap::save (not synced), then load", before_candle, of_candle),
        ],
    })
}

fn mebibytes(value: f64) -> String {
    format!("{value:.1} MiB")
}
