//! What the derive adds to a build.

use super::Bench;
use crate::Outcome;
use crate::compile::{Compiler, source};
use crate::figures::{Kind, Table, Theme};
use crate::table::duration;
use crate::timing::{Task, in_turn};

const STRUCTS: usize = 100;

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Build time");
    theme.note(
        "The compiler builds a library of 100 structs of 10 fields (modules, tensors, values) with and without the derive, \
         without optimization.",
    );
    let compiler = Compiler::new(&bench.path("build"))?;
    let mut rows = Vec::new();
    for (goal, check_only) in [("cargo build", false), ("cargo check", true)] {
        let compile = |derive: bool| {
            let text = source(STRUCTS, derive);
            let compiler = &compiler;
            move || compiler.compile(&text, check_only)
        };
        let tasks = vec![
            Task::new(Kind::Floor, "without", compile(false)),
            Task::new(Kind::Ours, "with", compile(true)),
        ];
        let measured = in_turn(tasks, bench.runs())?;
        let [Some(without), Some(with)] = ["without", "with"].map(|name| measured.seconds(name)) else {
            continue;
        };
        let added = with - without;
        rows.push(vec![
            goal.to_owned(),
            duration(without),
            duration(with),
            duration(added),
        ]);
        if !check_only {
            theme.at_most(
                "build time that the derive adds, 100 structs of 10 fields",
                2.,
                "s",
                Some(added),
            );
        }
    }
    theme.tables.push(Table {
        caption: format!("{STRUCTS} structs of 10 fields"),
        head: ["", "without the derive", "with the derive", "added"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    Ok(theme)
}
