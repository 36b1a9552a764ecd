//! `ckpt upgrade A B --recipe FILE`: a checkpoint of an older version as one of the present version.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use fabric_core::Fabric;

use crate::conversion::Conversion;
use crate::failure::{Failure, say};
use crate::recipe;
use crate::screen::Screen;
use crate::text::plain;

/// Writes a checkpoint of an older version of a program as one of the present version, with the optimizer.
///
/// FILE is the source of the program: the command reads the structs that declare `version` and `migrate`, and the words of their
/// recipes. For a checkpoint of another program, FILE has words alone: `m.rename("h.*.ln_1", "blocks.*.norm");`. A word with a
/// function runs code, which the command does not: a program calls `Fabric::migrate::<State>` for those.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    conversion: Conversion,
    /// The source of the program, or the words alone.
    #[arg(long, value_name = "FILE")]
    recipe: PathBuf,
}

/// # Errors
/// If nothing could be written.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let conversion = &arguments.conversion;
    let recipes = recipe::read(&arguments.recipe)?;
    let file = Fabric::new()
        .open(&conversion.from)
        .map_err(|error| Failure::of(&conversion.from, &error))?;
    let structs: BTreeSet<String> = file.versions().into_iter().map(|own| own.name).collect();
    let absent: Vec<String> = recipes
        .names()
        .filter(|name| !structs.contains(*name))
        .map(|name| format!("`{name}`"))
        .collect();
    if !absent.is_empty() && !structs.is_empty() {
        say(&format!(
            "{} has no struct of the name {}",
            plain(&conversion.from.to_string_lossy()),
            absent.join(", ")
        ));
    }
    conversion.run(screen, "upgrade", |bar| {
        let options = conversion.reshard_options(bar);
        let report = Fabric::new().migrate_with(&conversion.from, &conversion.to, &recipes, options)?;
        Ok(conversion.own(report))
    })?;
    Ok(ExitCode::SUCCESS)
}
