//! The cost of a tensor against the number of tensors: it must not grow with the number.

use std::cell::RefCell;
use std::time::Instant;

use fabric_core::Fabric;

use super::super::Bench;
use super::super::load::save_relaxed;
use crate::Outcome;
use crate::figures::{Axis, Kind, Lines, Plot, Series, Theme};
use crate::measured::{float, micros};
use crate::states::{Form, state_in_file};
use crate::timing::{Task, in_turn};

const SAVE: &str = "Fabric save, not synced";
const LOAD: &str = "Fabric load";
const OPEN: &str = "Fabric open";
const CALL: &str = "Fabric save_async, until it returns";

/// The numbers of tensors, of which the last two show whether the cost of one grows.
const NUMBERS: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Adds a plot of the microseconds for each tensor, and the aims for the largest number.
pub(super) fn measure(bench: &Bench, theme: &mut Theme) -> Outcome {
    let mut series: Vec<Series> = Vec::new();
    let most = bench
        .scaled(16 * NUMBERS[NUMBERS.len() - 1])
        .min(NUMBERS[NUMBERS.len() - 1]);
    for tensors in NUMBERS.map(|number| number.min(most)) {
        for (name, each) in costs(bench, Form { tensors, each: 64 })? {
            let point = (float(tensors), each);
            match series.iter_mut().find(|one| one.name == name) {
                Some(one) => one.points.push(point),
                None => series.push(Series {
                    name,
                    floor: false,
                    points: vec![point],
                }),
            }
        }
    }
    for (name, aim) in [(SAVE, 0.7), (LOAD, 0.7), (OPEN, 0.7), (CALL, 0.1)] {
        let points = series
            .iter()
            .find(|one| one.name == name)
            .map_or(&[][..], |one| &one.points);
        let at = |number: usize| {
            points
                .iter()
                .find(|(at, _)| *at >= float(number))
                .map(|(_, each)| *each)
        };
        theme.at_most(
            &format!("{name}: 100,000 tensors of 64 bytes, per tensor"),
            aim,
            "us",
            at(most),
        );
        let growth = at(most).zip(at(1_000)).map(|(large, small)| large / small);
        let figure = format!("{name}: cost of a tensor among 100,000 / among 1,000");
        theme.at_most(&figure, 1.25, "", growth);
    }
    let axis = |label: &str| Axis {
        label: label.to_owned(),
        logarithmic: true,
        bytes: false,
    };
    theme.plots.push(Plot::Lines(Lines {
        name: "by-number".to_owned(),
        title: "The cost of a tensor of 64 bytes among many".to_owned(),
        x: axis("number of tensors"),
        y: axis("us for each tensor (lower is better)"),
        series,
    }));
    Ok(())
}

/// The microseconds for each tensor, by task.
fn costs(bench: &Bench, form: Form) -> Outcome<Vec<(String, f64)>> {
    let [ours, plain, made] = ["many.ckpt", "many.safetensors", "many"].map(|name| bench.path(name));
    let variables = state_in_file(form, &plain)?;
    let fabric = Fabric::new();
    save_relaxed(&fabric, &ours, &variables)?;
    let variables = RefCell::new(variables);
    let tasks = vec![
        Task::new(Kind::Ours, SAVE, || save_relaxed(&fabric, &made, &variables.borrow())).making(&made),
        Task::timing_itself(Kind::Ours, CALL, || {
            let begin = Instant::now();
            let saving = fabric.save_async(&made, &*variables.borrow())?;
            let seconds = begin.elapsed().as_secs_f64();
            saving.wait()?;
            Ok(seconds)
        })
        .making(&made),
        Task::new(Kind::Peer, "candle VarMap::save", || {
            Ok(variables.borrow().save(&made)?)
        })
        .making(&made),
        Task::new(Kind::Ours, OPEN, || Ok(fabric.open(&ours).map(drop)?)),
        Task::new(Kind::Ours, LOAD, || {
            Ok(fabric.load(&ours, &mut *variables.borrow_mut()).map(drop)?)
        }),
        Task::new(Kind::Peer, "candle VarMap::load", || {
            Ok(variables.borrow_mut().load(&plain)?)
        }),
    ];
    let measured = in_turn(tasks, bench.runs())?;
    let each = |timed: crate::measured::Timed| (timed.name, micros(timed.seconds.median, form.tensors));
    Ok(measured.0.into_iter().map(each).collect())
}
