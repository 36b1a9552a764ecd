//! `ckpt ls PATH [GLOB...]`: the entries of a checkpoint.

mod document;
pub(crate) mod header;
pub(crate) mod table;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fabric_core::{Fabric, OptimizerSummary, RawCheckpoint};

use self::header::Totals;
use self::table::Sizes;
use crate::entries::{self, Entry, Optimizers};
use crate::failure::Failure;
use crate::json;
use crate::screen::Screen;
use crate::text::plain;
use crate::tree::{Order, tree};
use crate::versions::Versions;

/// Lists the entries of a checkpoint: tensors, values and optimizers.
///
/// Siblings with equal entries below them are one line, `blocks.[0..11]`, and each optimizer is one line. A tensor that is stored under
/// several names has its bytes at the first of them. A struct of another version than 1 shows its name and its version.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file or the directory.
    path: PathBuf,
    /// Lists only entries with these names. `*` also matches dots, as in the attribute `filter = glob("...")`; a name without `*`, `?`
    /// and `[` stands for everything below it too.
    #[arg(value_name = "GLOB")]
    globs: Vec<String>,
    /// Prints a line for every entry, with its whole name.
    #[arg(long)]
    flat: bool,
    /// The order of the lines.
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = Order::Name)]
    sort: Order,
    /// Prints one document of JSON.
    #[arg(long)]
    json: bool,
    /// Prints sizes in bytes.
    #[arg(long)]
    bytes: bool,
}

/// # Errors
/// If the checkpoint cannot be opened, a pattern is invalid, or the output cannot be written.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let path = &arguments.path;
    let whole = open(path)?;
    let raw = matching(&whole, &arguments.globs, path)?;
    let mut all = entries::all(&raw);
    if !arguments.globs.is_empty() {
        entries::add_unlisted(&mut all, &whole);
    }
    let mut optimizers = whole.optimizers().map_err(|error| Failure::of(path, &error))?;
    keep_listed(&mut optimizers, &all);
    if arguments.sort == Order::Size && (arguments.flat || arguments.json) {
        all.sort_by_key(|entry| std::cmp::Reverse(entry.bytes()));
    }
    let totals = Totals::of(&all);
    let description = raw.description().map_err(|error| Failure::of(path, &error))?;
    if arguments.json {
        let document = document::Document::new(path, &description, &totals, &all, &optimizers, &raw);
        json::print(screen, &document)?;
        return Ok(ExitCode::SUCCESS);
    }
    let sizes = Sizes::new(arguments.bytes);
    header::print(screen, &description, &totals, &optimizers, sizes)?;
    if arguments.flat {
        table::flat(screen, &all, sizes)?;
    } else {
        let versions = Versions::of(&description.structs);
        print_tree(screen, all, &optimizers, &versions, arguments, sizes)?;
    }
    filtered(screen, &raw)?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps the optimizers of which an entry is listed.
fn keep_listed(optimizers: &mut Vec<OptimizerSummary>, entries: &[Entry<'_>]) {
    let all = Optimizers::new(optimizers);
    let listed = entries.iter().filter_map(|entry| all.of(entry.name));
    let listed: HashSet<String> = listed.map(str::to_owned).collect();
    optimizers.retain(|optimizer| listed.contains(&optimizer.name));
}

/// Opens a checkpoint.
///
/// # Errors
/// As [`Fabric::open`].
pub(crate) fn open(path: &Path) -> Result<RawCheckpoint, Failure> {
    Fabric::new().open(path).map_err(|error| Failure::of(path, &error))
}

fn print_tree(
    screen: &mut Screen,
    all: Vec<Entry<'_>>,
    optimizers: &[OptimizerSummary],
    versions: &Versions<'_>,
    arguments: &Arguments,
    sizes: Sizes,
) -> Result<(), Failure> {
    // A user who gives patterns asks for the entries themselves.
    let shown = if arguments.globs.is_empty() {
        entries::summarized(all, optimizers)
    } else {
        all
    };
    table::nested(screen, &tree(&shown, arguments.sort, versions), sizes)
}

/// The entries that match the patterns; all if there are none.
fn matching(raw: &RawCheckpoint, globs: &[String], path: &Path) -> Result<RawCheckpoint, Failure> {
    if globs.is_empty() {
        return Ok(raw.clone());
    }
    let is_name = |glob: &&String| !glob.contains(['*', '?', '[']);
    let below = globs.iter().filter(is_name).map(|name| format!("{name}.*"));
    let patterns: Vec<String> = globs.iter().cloned().chain(below).collect();
    let found = raw
        .matching(&patterns)
        .map_err(|error| Failure::of(path, &error).with_status(crate::USAGE))?;
    if found.is_empty() && found.filtered().is_empty() {
        let globs: Vec<_> = globs.iter().map(|glob| plain(glob).into_owned()).collect();
        let text = format!(
            "{}: no entry matches {}",
            plain(&path.to_string_lossy()),
            globs.join(", ")
        );
        return Err(Failure::new(text));
    }
    Ok(found)
}

/// Prints the names of the entries that a filter left out when the checkpoint was saved.
fn filtered(screen: &mut Screen, raw: &RawCheckpoint) -> Result<(), Failure> {
    let names = raw.filtered();
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = names.into_iter().map(plain).collect();
    let line = format!("not saved because of a filter: {}", names.join(", "));
    table::remark(screen, &line)
}
