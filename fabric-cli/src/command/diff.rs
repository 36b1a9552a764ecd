//! `ckpt diff A B`: how two checkpoints differ.

mod document;
mod lines;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fabric_core::{DiffOptions, Fabric, RawCheckpoint};

use crate::bar::Bar;
use crate::failure::Failure;
use crate::json;
use crate::screen::Screen;

/// Compares two checkpoints of any formats: values, and tensors by how much they changed.
///
/// Exits with 0 if the checkpoints are equal, with 1 if they differ, and with 2 if one of them cannot be read. Tensors are sorted by
/// their relative change, |second - first| / |first| in L2 norms. Contents that the checksums of both files prove equal are not read.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The first checkpoint: a file or a directory.
    first: PathBuf,
    /// The second checkpoint.
    second: PathBuf,
    /// Compares names, element types and shapes, and reads no tensor.
    #[arg(long)]
    names_only: bool,
    /// The largest relative change that counts as equal, for tensors and for values that are floats. Another element type or another
    /// shape is a difference whatever the tolerance is.
    #[arg(long, value_name = "RATIO", default_value_t = 0., value_parser = ratio)]
    tolerance: f64,
    /// Compares the entries below this name. A checkpoint without entries below it, an exported model for instance, is compared as a
    /// whole.
    #[arg(long, value_name = "NAME")]
    subtree: Option<String>,
    /// The number of values, of tensors and of names that are printed. 0 prints all.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
    /// Prints one JSON document with all differences.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// If a checkpoint cannot be read, or the output cannot be written.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let (first, second) = open(arguments)?;
    let bar = Bar::new("diff");
    let options = DiffOptions::new()
        .names_only(arguments.names_only)
        .tolerance(arguments.tolerance)
        .progress(bar.callback());
    let diff = first.diff(&second, options);
    bar.clear();
    let diff = diff.map_err(|error| Failure::new(error.to_string()))?;
    if arguments.json {
        json::print(
            screen,
            &document::Document::new((&arguments.first, &arguments.second), &diff, arguments.names_only),
        )?;
    } else {
        let shown = lines::Shown {
            limit: if arguments.limit == 0 {
                usize::MAX
            } else {
                arguments.limit
            },
            names_only: arguments.names_only,
        };
        lines::print(screen, (&first, &second), &diff, shown)?;
    }
    Ok(ExitCode::from(u8::from(!diff.is_empty())))
}

/// Opens both checkpoints. One path twice is opened once, and need not be read.
fn open(arguments: &Arguments) -> Result<(RawCheckpoint, RawCheckpoint), Failure> {
    let open = |path: &Path| Fabric::new().open(path).map_err(|error| Failure::of(path, &error));
    let canonical = |path: &Path| path.canonicalize().ok();
    let first = open(&arguments.first)?;
    let is_same = canonical(&arguments.first).is_some_and(|path| canonical(&arguments.second) == Some(path));
    let second = if is_same {
        first.clone()
    } else {
        open(&arguments.second)?
    };
    let Some(name) = &arguments.subtree else {
        return Ok((first, second));
    };
    let below = [&first, &second].map(|raw| raw.subtree(name));
    if below.iter().all(RawCheckpoint::is_empty) {
        let text = format!(
            "no entries below {name} in {} and {}",
            arguments.first.display(),
            arguments.second.display()
        );
        return Err(Failure::new(text));
    }
    let [below_first, below_second] = below;
    let or_whole = |below: RawCheckpoint, whole| if below.is_empty() { whole } else { below };
    Ok((or_whole(below_first, first), or_whole(below_second, second)))
}

/// Parses a tolerance.
fn ratio(text: &str) -> Result<f64, String> {
    let ratio: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if ratio >= 0. {
        Ok(ratio)
    } else {
        Err("a ratio is not negative".to_owned())
    }
}
