//! A training is killed two seconds after a save, and starts again.

use super::Bench;
use crate::figures::{Kind, Table, Theme};
use crate::measured::float;
use crate::restart::{Library, file, load, save_and_kill};
use crate::states::Form;
use crate::table::{duration, size};
use crate::timing::{Summary, Task, in_turn};
use crate::{Outcome, files, system};

/// The row of a load that another one of the same file has just preceded.
const AGAIN: &str = "Fabric, file in the page cache";

/// The rounds for one size. A round with 4 GiB takes over a minute.
const ROUNDS: usize = 3;

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Restarts");
    theme.note(
        "A process saves a state and is killed two seconds later. A new process then loads the file into new tensors and ends; \
         its whole time is measured, from its start to its end. Saves of Fabric are synced; the others are not, so their files \
         are in the page cache.",
    );
    theme.measured = super::rounds(runs(bench));
    let mut rows = Vec::new();
    for mib in [16, 256, 1024, 4096] {
        let bytes = bench.scaled(mib << 20);
        rows.push(restarts(
            bench,
            &mut theme,
            Form {
                tensors: 64,
                each: bytes / 64,
            },
        )?);
    }
    let names = Library::ALL.map(Library::name).into_iter().chain([AGAIN]);
    theme.tables.push(Table {
        caption: "A process that loads a state in 64 tensors and ends, two seconds after the save".to_owned(),
        head: std::iter::once("size of the state")
            .chain(names)
            .map(str::to_owned)
            .collect(),
        rows,
    });
    Ok(theme)
}

fn runs(bench: &Bench) -> usize {
    if bench.options.quick { 1 } else { ROUNDS }
}

/// The times for one size, in a row.
fn restarts(bench: &Bench, theme: &mut Theme, form: Form) -> Outcome<Vec<String>> {
    let mut tasks = Vec::new();
    for library in Library::ALL {
        let path = file(bench, library);
        tasks.push(Task::timing_itself(Kind::Peer, library.name(), move || {
            system::sync();
            save_and_kill(library, &path, form)?;
            system::ready_memory(form.bytes());
            load(library, &path, form)
        }));
        if library == Library::Fabric {
            let path = file(bench, library);
            tasks.push(Task::timing_itself(Kind::Ours, AGAIN, move || {
                system::ready_memory(form.bytes());
                load(library, &path, form)
            }));
        }
    }
    let measured = in_turn(tasks, runs(bench))?;
    for library in Library::ALL {
        files::remove(&file(bench, library))?;
    }
    let words = size(float(form.bytes()));
    let fabric = Library::Fabric.name();
    let rival = measured.fastest(&[Library::VarMap.name(), Library::Safetensors.name()]);
    theme.at_least(
        &format!("restart with {words}: Fabric / the faster of candle's `VarMap` and `MmapedSafetensors`"),
        1.,
        rival.and_then(|rival| measured.ratio(fabric, rival)),
    );
    theme.at_most(
        &format!("time of a restart with {words} / time of one from the page cache"),
        1.3,
        "",
        measured.ratio(AGAIN, fabric),
    );
    let cell = |name: &str| {
        let found = measured.0.iter().find(|timed| timed.name == name);
        found.map_or_else(String::new, |timed| shown(timed.seconds))
    };
    let names = Library::ALL.map(Library::name).into_iter().chain([AGAIN]);
    Ok(std::iter::once(words).chain(names.map(cell)).collect())
}

fn shown(seconds: Summary) -> String {
    let (low, high) = seconds.quartiles;
    format!("{} ({} to {})", duration(seconds.median), duration(low), duration(high))
}
