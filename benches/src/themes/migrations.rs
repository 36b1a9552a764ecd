//! Files of older versions: loads through recipes beside a load without one, and conversions beside a copy.

mod needs;
mod recipes;

use std::path::PathBuf;

use fabric_core::{Durability, Fabric, SaveOptions};

use self::recipes::{Before, CONVERSIONS, COPY, Conversion, NO_RECIPE, RECIPES, TENSORS};
use super::{Bench, memory};
use crate::figures::{Kind, Theme};
use crate::states::Form;
use crate::timing::{Task, in_turn};
use crate::{Mode, Outcome, system};

/// The file that all loads and conversions read.
struct Old {
    path: PathBuf,
    form: Form,
    /// The rows, and the columns, of each matrix.
    side: usize,
}

/// Measures in a process of its own: first bytes and memory, with a strict allocator, and then times.
pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    if bench.options.mode != Mode::Child {
        return memory::in_strict_process(bench, "migrations");
    }
    let mut theme = Theme::new("When the program changes");
    theme.note(
        "One file, in the page cache, is loaded in place into the state that each recipe leads to. Memory is the peak of the \
         resident memory during the call, minus the resident memory before it. Pages of mapped files count.",
    );
    let old = Old::saved(bench)?;
    let mut needs = Theme::default();
    needs::measure(bench, &mut needs, &old)?;
    system::separate_large_memory();
    loading(bench, &mut theme, &old)?;
    converting(bench, &mut theme, &old)?;
    theme.tables.extend(needs.tables);
    theme.aims.extend(needs.aims);
    Ok(theme)
}

impl Old {
    fn saved(bench: &Bench) -> Outcome<Self> {
        let form = Form {
            tensors: TENSORS,
            each: bench.scaled(1 << 30) / TENSORS,
        };
        let old = Self {
            path: bench.path("old.ckpt"),
            form,
            side: (form.each / 4).isqrt(),
        };
        // Without a sync, the file is in the page cache.
        let relaxed = SaveOptions::new().durability(Durability::Relaxed);
        Fabric::new().save_with(&old.path, &Before::new(old.side)?, relaxed)?;
        system::sync();
        Ok(old)
    }
}

/// Loads through every recipe, each into a state of its own.
fn loading(bench: &Bench, theme: &mut Theme, old: &Old) -> Outcome {
    let fabric = &Fabric::new();
    let mut tasks = Vec::new();
    for recipe in [NO_RECIPE].into_iter().chain(RECIPES) {
        let (name, mut state) = (recipe.name, recipe.state(old)?);
        tasks.push(Task::new(Kind::Ours, name, move || {
            recipe.load(fabric, old, &mut state)
        }));
    }
    let measured = in_turn(tasks, bench.runs())?;
    let caption = format!(
        "Loading {} in place through a recipe, file in the page cache",
        old.form.words()
    );
    theme
        .tables
        .push(measured.table(&caption, old.form.bytes(), NO_RECIPE.name));
    for recipe in RECIPES {
        let figure = format!("load through {} / load without a recipe", recipe.name);
        theme.at_least(&figure, 0.9, measured.ratio(recipe.name, NO_RECIPE.name));
    }
    Ok(())
}

/// Writes the file as one of a later version.
fn converting(bench: &Bench, theme: &mut Theme, old: &Old) -> Outcome {
    const SYNCED: [(&str, Durability); 2] = [("synced", Durability::Durable), ("not synced", Durability::Relaxed)];
    let (fabric, made) = (&Fabric::new(), &bench.path("made"));
    let row = |conversion: &Conversion, synced: &str| format!("Fabric {}, {synced}", conversion.name);
    let mut tasks = Vec::new();
    for (synced, durability) in SYNCED {
        for conversion in [COPY].into_iter().chain(CONVERSIONS) {
            let name = row(&conversion, synced);
            let task = Task::new(Kind::Ours, name, move || conversion.run(fabric, old, made, durability));
            tasks.push(task.making(made).needing(old.form.bytes()));
        }
    }
    let measured = in_turn(tasks, bench.runs())?;
    let caption = format!("Converting {} into a new file, from the page cache", old.form.words());
    let copy = row(&COPY, "synced");
    theme.tables.push(measured.table(&caption, old.form.bytes(), &copy));
    for (synced, _) in SYNCED {
        for conversion in CONVERSIONS {
            let figure = format!("{}, {synced} / {}, {synced}", conversion.name, COPY.name);
            theme.at_least(
                &figure,
                0.9,
                measured.ratio(&row(&conversion, synced), &row(&COPY, synced)),
            );
        }
    }
    crate::files::remove(made)
}
