//! A save over the checkpoint of yesterday, beside a save to a new path.

use std::path::Path;
use std::time::{Duration, Instant};

use candle_nn::VarMap;
use fabric_core::{Durability, Fabric, SaveOptions, Strategy};

use super::Bench;
use crate::figures::{Kind, Theme};
use crate::states::{Form, state};
use crate::timing::{Task, in_turn};
use crate::{Outcome, files, system};

/// The time after a save in which the system frees the replaced checkpoint.
const FREED: Duration = Duration::from_secs(2);

const KINDS: [(&str, Durability); 2] = [("synced", Durability::Durable), ("not synced", Durability::Relaxed)];

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Saving over an old checkpoint");
    theme.note(
        "A training loop saves to one path again and again. Each save of this table has two seconds before the next one, in \
         which the system frees the replaced checkpoint.",
    );
    let form = Form {
        tensors: 64,
        each: bench.scaled(1 << 30) / 64,
    };
    let variables = &state(form)?;
    let whole = Fabric::new();
    let ranks = Fabric::builder().strategy(Strategy::ddp()).build()?;
    let (new, old, old_directory) = (bench.path("new"), bench.path("old.ckpt"), bench.path("old"));
    let mut tasks = Vec::new();
    for (what, fabric, old) in [("a file", &whole, &old), ("a directory", &ranks, &old_directory)] {
        for (synced, durability) in KINDS {
            let task = |place: &str, path| {
                Task::timing_itself(Kind::Ours, row(what, place, synced), move || {
                    save(fabric, path, variables, durability)
                })
            };
            tasks.push(task("a new path", &new).making(&new).needing(form.bytes()));
            tasks.push(task("an old checkpoint", old).needing(form.bytes()));
        }
    }
    let measured = in_turn(tasks, bench.runs())?;
    let caption = format!("Saving {}", form.words());
    let first = row("a file", "a new path", "synced");
    theme.tables.push(measured.table(&caption, form.bytes(), &first));
    for what in ["a file", "a directory"] {
        for (synced, _) in KINDS {
            let (new, old) = (row(what, "a new path", synced), row(what, "an old checkpoint", synced));
            let figure = format!("time of a save of {what} over an old checkpoint / to a new path, {synced}");
            theme.at_most(&figure, 1.03, "", measured.ratio(&new, &old));
        }
        let [synced, relaxed] = KINDS.map(|(synced, _)| row(what, "an old checkpoint", synced));
        let figure = format!("time of a save of {what} over an old checkpoint, not synced / synced");
        theme.at_most(&figure, 1., "", measured.ratio(&synced, &relaxed));
    }
    for path in [old, old_directory] {
        files::remove(&path)?;
    }
    Ok(theme)
}

fn row(what: &str, place: &str, synced: &str) -> String {
    format!("{what}, {place}, {synced}")
}

fn save(fabric: &Fabric, path: &Path, variables: &VarMap, durability: Durability) -> Outcome<f64> {
    let begin = Instant::now();
    fabric.save_with(path, variables, SaveOptions::new().durability(durability))?;
    let seconds = begin.elapsed().as_secs_f64();
    system::sync();
    std::thread::sleep(FREED);
    Ok(seconds)
}
