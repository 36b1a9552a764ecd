//! How long training waits for a save in the background.

use std::time::Instant;

use candle_core::{Tensor, Var};
use candle_nn::VarMap;
use fabric_core::Fabric;

use super::Bench;
use crate::Outcome;
use crate::figures::{Axis, Kind, Lines, Plot, Series, Table, Theme};
use crate::floors::{self, Aligned};
use crate::measured::float;
use crate::states::{Form, state_in_file};
use crate::table::{duration, number};
use crate::timing::{Task, in_turn};

const COPY: &str = "memcpy of the state";
const CALL: &str = "Fabric save_async, until it returns";

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Saving in the background");
    let form = Form {
        tensors: 64,
        each: bench.scaled(1 << 30) / 64,
    };
    let plain = bench.path("state.safetensors");
    let variables = state_in_file(form, &plain)?;
    let fabric = Fabric::new();
    calls(bench, &mut theme, form, &fabric, &variables)?;
    training(bench, &mut theme, &fabric, &variables)?;
    Ok(theme)
}

/// The time in the call; the write is waited for, and not counted.
fn calls(bench: &Bench, theme: &mut Theme, form: Form, fabric: &Fabric, variables: &VarMap) -> Outcome {
    let (plain, made) = (bench.path("state.safetensors"), bench.path("made"));
    let source = Aligned::new(form.bytes());
    let mut into = vec![1; form.bytes()];
    let peers = bench.peers();
    let mut tasks = vec![
        Task::new(Kind::Floor, COPY, || {
            floors::copy(source.bytes(), &mut into, 1);
            Ok(())
        }),
        Task::timing_itself(Kind::Ours, CALL, || {
            let begin = Instant::now();
            let saving = fabric.save_async(&made, variables)?;
            let seconds = begin.elapsed().as_secs_f64();
            saving.wait()?;
            Ok(seconds)
        })
        .making(&made),
    ];
    if let Some(peers) = &peers
        && peers.prepare("dcp", &plain, &made)?
    {
        let task = peers.task("dcp.async_save, until it returns", "dcp", "save_async", &plain, &made);
        tasks.push(task.making(&made));
    }
    crate::files::remove(&made)?;
    let measured = in_turn(tasks, bench.runs())?;
    theme.tables.push(measured.table(&form.words(), form.bytes(), COPY));
    let part = measured.ratio(COPY, CALL);
    theme.at_most(
        "`save_async`, until it returns / one memcpy of the state",
        0.1,
        "",
        part,
    );
    Ok(())
}

/// Steps of a training beside a save: each computes on one core for some time, and then updates every tensor.
fn training(bench: &Bench, theme: &mut Theme, fabric: &Fabric, variables: &VarMap) -> Outcome {
    let made = bench.path("made");
    let mut training = Training::new(variables.all_vars())?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for run in 0..=bench.runs() {
        crate::files::remove(&made)?;
        let quiet = training.steps(|step| step >= 4)?;
        let begin = Instant::now();
        let saving = fabric.save_async(&made, variables)?;
        let in_call = begin.elapsed().as_secs_f64();
        let mut busy = training.steps(|_| saving.is_finished())?;
        // What a step waits for is also the call.
        if let Some(first) = busy.first_mut() {
            *first += in_call;
        }
        saving.wait()?;
        crate::system::sync();
        // The first save prepares the memory for copies.
        if run == 0 {
            continue;
        }
        (alone, beside) = ([alone, quiet.clone()].concat(), [beside, busy.clone()].concat());
        theme.plots = vec![Plot::Lines(plot(&quiet, &busy))];
    }
    let mean = |steps: &[f64]| steps.iter().sum::<f64>() / float(steps.len());
    let longest = |steps: &[f64]| steps.iter().copied().fold(0., f64::max);
    let row = |name: &str, steps: &[f64]| {
        vec![
            name.to_owned(),
            duration(mean(steps)),
            duration(longest(steps)),
            steps.len().to_string(),
        ]
    };
    theme.tables.push(Table {
        caption: "Training steps that leave one core free; a step includes the call to save_async".to_owned(),
        head: ["", "mean step", "longest step", "steps"].map(str::to_owned).to_vec(),
        rows: vec![row("without a save", &alone), row("during a save", &beside)],
    });
    let slower = mean(&beside) / mean(&alone);
    theme.note(&format!(
        "The mean step during a save takes {}x the time of a step without a save.",
        number(slower)
    ));
    theme.at_most(
        "training step during `save_async` / training step without a save",
        1.1,
        "",
        Some(slower),
    );
    Ok(())
}

fn plot(quiet: &[f64], busy: &[f64]) -> Lines {
    let axis = |label: &str| Axis {
        label: label.to_owned(),
        logarithmic: false,
        bytes: false,
    };
    let series = |name: &str, floor, steps: &[f64]| {
        let mut at = 0.;
        let point = |step: &f64| {
            at += step;
            (at, step * 1e3)
        };
        Series {
            name: name.to_owned(),
            floor,
            points: steps.iter().map(point).collect(),
        }
    };
    Lines {
        name: "stall".to_owned(),
        title: "Training steps without a save, and from the call of save_async to the end of the save".to_owned(),
        x: axis("seconds"),
        y: axis("time of the step, ms (lower is better)"),
        series: vec![
            series("without a save", true, quiet),
            series("during a save", false, busy),
        ],
    }
}

/// A loop that is like a training: arithmetic on one core, then an update of all parameters in place. A quarter of a second
/// is little for a model of this size.
struct Training {
    parameters: Vec<Var>,
    update: Tensor,
    numbers: Vec<f32>,
}

impl Training {
    fn new(parameters: Vec<Var>) -> Outcome<Self> {
        let first = parameters.first().ok_or("a state without tensors")?;
        Ok(Self {
            update: first.copy()?,
            parameters,
            numbers: vec![1.5; 1 << 16],
        })
    }

    /// The lengths of steps, until enough.
    fn steps(&mut self, enough: impl Fn(usize) -> bool) -> Outcome<Vec<f64>> {
        let mut lengths = Vec::new();
        while !enough(lengths.len()) {
            let begin = Instant::now();
            self.step()?;
            lengths.push(begin.elapsed().as_secs_f64());
        }
        Ok(lengths)
    }

    fn step(&mut self) -> Outcome {
        for _ in 0..45_000 {
            for number in std::hint::black_box(&mut self.numbers) {
                *number = *number * 0.999 + 0.001;
            }
        }
        for parameter in &self.parameters {
            parameter.set(&self.update)?;
        }
        Ok(())
    }
}
