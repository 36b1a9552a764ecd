//! The cost of a run: of a step without a save, and of listing its checkpoints.

use std::cell::RefCell;

use fabric_core::group::ThreadGroup;
use fabric_core::run::{self, Every, Run};
use fabric_core::{Fabric, Strategy};

use super::Bench;
use crate::Outcome;
use crate::figures::{Kind, Table, Theme};
use crate::four_ranks::RANKS;
use crate::measured::micros;
use crate::states::{Form, state_in_file};
use crate::table::{duration, number};
use crate::timing::{Task, in_turn};

const STEP: &str = "a step without a save, one process";
const STEP_OF_RANKS: &str = "a step without a save, four ranks (threads of one process)";
const OPEN: &str = "open, and list";
const LIST: &str = "list without the lock";

/// The steps of a task.
const STEPS: u64 = 1_000_000;
const STEPS_OF_RANKS: u64 = 10_000;

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Runs");
    theme.note(
        "A step asks whether a save is due and whether a signal has come. The checkpoints are in the page cache.",
    );
    steps(bench, &mut theme)?;
    listing(bench, &mut theme)?;
    Ok(theme)
}

/// The two questions of each step; no save is ever due.
fn ask(run: &mut Run, steps: u64) -> Outcome {
    for step in 0..steps {
        if run.due(step) || run.stop_requested()? {
            return Err("a save is due".into());
        }
    }
    Ok(())
}

fn opened(fabric: &Fabric, path: &std::path::Path) -> Outcome<Run> {
    Ok(Run::at(path)
        .save_every(Every::steps(u64::MAX))
        .stop_on_signals()
        .open(fabric)?)
}

fn steps(bench: &Bench, theme: &mut Theme) -> Outcome {
    let run = RefCell::new(opened(&Fabric::new(), &bench.path("one"))?);
    let path = bench.path("ranks");
    let tasks = vec![
        Task::new(Kind::Ours, STEP, || ask(&mut run.borrow_mut(), STEPS)),
        Task::new(Kind::Ours, STEP_OF_RANKS, || {
            let of_rank = |group: ThreadGroup| -> Outcome {
                let fabric = Fabric::builder()
                    .strategy(Strategy::ddp())
                    .process_group(group)
                    .build()?;
                ask(&mut opened(&fabric, &path)?, STEPS_OF_RANKS)
            };
            std::thread::scope(|scope| {
                let groups = ThreadGroup::new(RANKS).into_iter();
                let ranks: Vec<_> = groups
                    .map(|group| scope.spawn(|| of_rank(group).map_err(|error| error.to_string())))
                    .collect();
                let mut outcomes = ranks
                    .into_iter()
                    .map(|rank| rank.join().map_err(|_| "a rank has panicked")?);
                outcomes.try_for_each(|outcome| Ok(outcome?))
            })
        }),
    ];
    let measured = in_turn(tasks, bench.runs())?;
    let each = |name: &str, steps: u64| {
        let seconds = measured.seconds(name).unwrap_or(f64::NAN);
        micros(seconds, usize::try_from(steps).unwrap_or(usize::MAX))
    };
    let (one, ranks) = (each(STEP, STEPS), each(STEP_OF_RANKS, STEPS_OF_RANKS));
    theme.tables.push(Table {
        caption: "What a run costs a training".to_owned(),
        head: ["", "each step"].map(str::to_owned).to_vec(),
        rows: [(STEP, one), (STEP_OF_RANKS, ranks)]
            .map(|(name, micros)| vec![name.to_owned(), format!("{} us", number(micros))])
            .to_vec(),
    });
    theme.at_most("a step with a run and no save due, one process", 1., "us", Some(one));
    theme.at_most(
        "a step with a run and no save due, four ranks, of a step of 10 ms",
        1.,
        "%",
        Some(ranks / 100.),
    );
    Ok(())
}

fn listing(bench: &Bench, theme: &mut Theme) -> Outcome {
    let count = bench.scaled(16_000).min(1_000) as u64;
    let form = Form {
        tensors: 64,
        each: 4096,
    };
    let variables = state_in_file(form, &bench.path("state.safetensors"))?;
    let (fabric, path) = (Fabric::new(), bench.path("run"));
    let mut run = Run::at(&path).open(&fabric)?;
    for step in 1..=count {
        run.save(step, &variables, &[("val_loss", 1.), ("accuracy", 0.5)])?;
    }
    drop(run);
    let tasks = vec![
        Task::new(Kind::Ours, OPEN, || {
            let listed = Run::at(&path).open(&fabric)?.checkpoints()?.len() as u64;
            if listed == count {
                Ok(())
            } else {
                Err("a checkpoint is missing".into())
            }
        }),
        Task::new(Kind::Ours, LIST, || {
            std::hint::black_box(run::list(&fabric, &path)?);
            Ok(())
        }),
    ];
    let measured = in_turn(tasks, bench.runs())?;
    theme.tables.push(Table {
        caption: format!("A run of {count} checkpoints of {} tensors", form.tensors),
        head: ["", "all checkpoints"].map(str::to_owned).to_vec(),
        rows: [OPEN, LIST]
            .map(|name| vec![name.to_owned(), duration(measured.seconds(name).unwrap_or(f64::NAN))])
            .to_vec(),
    });
    theme.at_most(
        "opening and listing a run of 1,000 checkpoints",
        0.2,
        "s",
        measured.seconds(OPEN),
    );
    Ok(())
}
