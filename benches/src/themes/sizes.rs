//! Rates against the size of the state, and against the size of its tensors.

use std::cell::RefCell;
use std::path::Path;

use candle_nn::VarMap;
use fabric_core::Fabric;

use super::Bench;
use super::load::save_relaxed;
use crate::figures::{Axis, Kind, Lines, Plot, Series, Table, Theme};
use crate::floors::{self, Aligned};
use crate::measured::{Measured, float, rate};
use crate::states::{Form, state};
use crate::table::{number, size};
use crate::timing::{Task, in_turn};
use crate::{Outcome, system};

const PREAD: &str = "pread, 2 threads";
const LOAD: &str = "Fabric load";
const CANDLE_LOAD: &str = "candle VarMap::load";
const DIRECT: &str = "O_DIRECT + fallocate";
const DURABLE: &str = "Fabric save, synced";
const PLAIN: &str = "plain write";
const RELAXED: &str = "Fabric save, not synced";
/// Above this, the system makes writers wait for the device, synced or not.
const NOT_SYNCED_UP_TO: usize = 1 << 30;
const CANDLE_SAVE: &str = "candle VarMap::save";

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Sizes");
    theme.note("Loads read the page cache into an existing state; saves write a new file.");
    by_state(bench, &mut theme)?;
    by_tensor(bench, &mut theme)?;
    Ok(theme)
}

fn by_state(bench: &Bench, theme: &mut Theme) -> Outcome {
    let axis = "size of the state, in 64 tensors";
    let mut loads = Curves::new("load-by-state", "Loading states of several sizes", axis);
    let mut saves = Curves::new("save-by-state", "Saving states of several sizes", axis);
    for mib in [16, 64, 256, 1024, 4096] {
        let bytes = bench.scaled(mib << 20);
        let form = Form {
            tensors: 64,
            each: bytes / 64,
        };
        let (loading, saving) = both(bench, form, true)?;
        loads.add(bytes, bytes, &loading);
        saves.add(bytes, bytes, &saving);
    }
    theme.tables.push(loads.table(&[(LOAD, PREAD)]));
    theme.tables.push(saves.table(&[(RELAXED, PLAIN), (DURABLE, DIRECT)]));
    theme.plots.extend([loads, saves].map(|curves| Plot::Lines(curves.0)));
    Ok(())
}

fn by_tensor(bench: &Bench, theme: &mut Theme) -> Outcome {
    let axis = "size of each tensor";
    let mut loads = Curves::new("load-by-tensor", "Loading tensors of several sizes", axis);
    let mut saves = Curves::new("save-by-tensor", "Saving tensors of several sizes", axis);
    for each in [64, 1 << 10, 16 << 10, 256 << 10, 4 << 20, 64 << 20, 256 << 20] {
        // 256 MiB; but at least 2 tensors, and at most 20,000.
        let tensors = (bench.scaled(256 << 20) / each).clamp(2, bench.scaled(320_000).min(20_000));
        let form = Form { tensors, each };
        let (loading, saving) = both(bench, form, false)?;
        loads.add(each, form.bytes(), &loading);
        saves.add(each, form.bytes(), &saving);
    }
    theme.tables.push(loads.table(&[(LOAD, PREAD)]));
    theme.tables.push(saves.table(&[(RELAXED, PLAIN)]));
    theme.plots.extend([loads, saves].map(|curves| Plot::Lines(curves.0)));
    Ok(())
}

/// Loads and saves a state in turn with the floors.
fn both(bench: &Bench, form: Form, durable: bool) -> Outcome<(Measured, Measured)> {
    let [ours, made] = ["ours.ckpt", "made"].map(|name| bench.path(name));
    let variables = state(form)?;
    let fabric = Fabric::new();
    save_relaxed(&fabric, &ours, &variables)?;
    system::sync();
    let mut buffer = Aligned::new(form.bytes());
    let variables = RefCell::new(variables);
    let loading = in_turn(loads(&fabric, &variables, &ours, &mut buffer), bench.runs())?;
    // Large states need the room.
    crate::files::remove(&ours)?;
    let variables = variables.into_inner();
    let mut tasks = Vec::new();
    if form.bytes() <= NOT_SYNCED_UP_TO {
        tasks.push(Task::new(Kind::Floor, PLAIN, || {
            floors::write(&made, buffer.bytes()).map(drop)
        }));
        tasks.push(Task::new(Kind::Ours, RELAXED, || {
            save_relaxed(&fabric, &made, &variables)
        }));
    }
    if durable {
        tasks.push(Task::new(Kind::Floor, DIRECT, || floors::write_direct(&made, &buffer)));
        tasks.push(Task::new(Kind::Ours, DURABLE, || {
            Ok(fabric.save(&made, &variables).map(drop)?)
        }));
    } else {
        tasks.push(Task::new(Kind::Peer, CANDLE_SAVE, || Ok(variables.save(&made)?)));
    }
    let tasks = tasks.into_iter().map(|task| task.making(&made)).collect();
    let saving = in_turn(tasks, bench.runs())?;
    crate::files::remove(&made)?;
    Ok((loading, saving))
}

/// One file for all: candle reads the tensors of a checkpoint of this library too, and large states need the room.
fn loads<'t>(
    fabric: &'t Fabric,
    variables: &'t RefCell<VarMap>,
    file: &'t Path,
    buffer: &'t mut Aligned,
) -> Vec<Task<'t>> {
    vec![
        Task::new(Kind::Floor, PREAD, move || floors::read(file, buffer.bytes_mut(), 2)),
        Task::new(Kind::Ours, LOAD, move || {
            Ok(fabric.load(file, &mut *variables.borrow_mut()).map(drop)?)
        }),
        Task::new(Kind::Peer, CANDLE_LOAD, move || {
            Ok(variables.borrow_mut().load(file)?)
        }),
    ]
}

/// Lines that grow by a point with each measurement.
struct Curves(Lines);

impl Curves {
    fn new(name: &str, title: &str, axis: &str) -> Self {
        let logarithmic = |label: &str, bytes| Axis {
            label: label.to_owned(),
            logarithmic: true,
            bytes,
        };
        Self(Lines {
            name: name.to_owned(),
            title: title.to_owned(),
            x: logarithmic(axis, true),
            y: logarithmic("GB/s (higher is better)", false),
            series: Vec::new(),
        })
    }

    fn add(&mut self, at: usize, bytes: usize, measured: &Measured) {
        for timed in &measured.0 {
            let point = (float(at), rate(bytes, timed.seconds.median));
            let series = &mut self.0.series;
            match series.iter_mut().find(|series| series.name == timed.name) {
                Some(series) => series.points.push(point),
                None => series.push(Series {
                    name: timed.name.clone(),
                    floor: timed.kind == Kind::Floor,
                    points: vec![point],
                }),
            }
        }
    }

    /// The points as a table: a row for each size, with ratios to the floors.
    fn table(&self, floors: &[(&str, &str)]) -> Table {
        let series = &self.0.series;
        let rate_of = |name: &str, row: usize| {
            let found = series.iter().find(|series| series.name == name);
            found
                .and_then(|series| series.points.get(row))
                .map_or(f64::NAN, |point| point.1)
        };
        let names = series.iter().map(|series| format!("{}, GB/s", series.name));
        let ratios = floors.iter().map(|(ours, floor)| format!("{ours} / {floor}"));
        let row = |row: usize, at: f64| {
            let rates = series.iter().map(|series| number(rate_of(&series.name, row)));
            let ratios = floors
                .iter()
                .map(|(ours, floor)| number(rate_of(ours, row) / rate_of(floor, row)));
            std::iter::once(size(at)).chain(rates).chain(ratios).collect()
        };
        let sizes = series
            .first()
            .map_or(&[][..], |series| &series.points)
            .iter()
            .map(|point| point.0);
        Table {
            caption: format!("{}, by {}", self.0.title, self.0.x.label),
            head: std::iter::once(String::new()).chain(names).chain(ratios).collect(),
            rows: sizes.enumerate().map(|(number, at)| row(number, at)).collect(),
        }
    }
}
