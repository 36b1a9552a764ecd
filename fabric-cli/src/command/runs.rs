//! `ckpt runs DIR`: the checkpoints of a run, and the curve of a metric.

pub(crate) mod curve;
mod document;
pub(crate) mod row;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use fabric_core::Fabric;
use fabric_core::run::{self, Listing, Metric};

use self::curve::{Curve, Marks};
use self::row::{Health, Row};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::json;
use crate::screen::{BOLD, DIM, RED, Screen, styled};
use crate::text::{fitted, plain, plural, size};

/// Lists the checkpoints of a run: step, metrics, age, size, and which one is the newest and the best.
///
/// Takes no lock: a training may save into the directory meanwhile. Reads the head of each checkpoint, and no tensor. The exit
/// status is 1 if `--verify` finds a damaged checkpoint, or a head cannot be read.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory of the run.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Draws the curve of this metric, and marks the checkpoint with its lowest value. A run with one metric marks that one.
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Marks the highest value of the metric in place of the lowest one.
    #[arg(long)]
    highest: bool,
    /// Reads every byte of every checkpoint, and says whether it is whole.
    #[arg(long)]
    verify: bool,
    /// Draws the curve with ASCII characters. This is the default where the locale is not UTF-8.
    #[arg(long)]
    ascii: bool,
    /// Prints one document of JSON.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// If the directory is no run, or cannot be read.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let fabric = Fabric::new();
    let mut listing = listed(&fabric, &arguments.directory)?;
    let metric = chosen(arguments, &listing)?;
    let mut rows = row::rows(&listing);
    if arguments.verify {
        verify(&fabric, &mut rows)?;
    }
    row::mark(&mut rows, &mut listing, metric.as_ref());
    if arguments.json {
        json::print(screen, &document::of(&listing, &rows, metric.as_ref()))?;
    } else {
        print(screen, &listing, &rows, metric.as_ref())?;
        if let Some(name) = &arguments.metric {
            let marks = if arguments.ascii {
                Marks::Ascii
            } else {
                Marks::of_locale()
            };
            draw(screen, &listing, name, marks)?;
        }
    }
    let is_damaged = rows.iter().any(|row| matches!(row.health, Health::Damaged(_)));
    Ok(ExitCode::from(u8::from(is_damaged)))
}

/// The listing of a run.
///
/// # Errors
/// If the directory is no run, or cannot be read.
pub(crate) fn listed(fabric: &Fabric, directory: &Path) -> Result<Listing, Failure> {
    let name = directory.to_string_lossy();
    if directory.is_file() {
        return Err(Failure::new(format!(
            "{}: no run: a run is a directory, and this is a file; `ckpt ls` shows a checkpoint",
            plain(&name)
        )));
    }
    let listing = run::list(fabric, directory).map_err(|error| Failure::of(directory, &error))?;
    if listing.is_run() {
        return Ok(listing);
    }
    Err(Failure::new(format!(
        "{}: no run: it has no checkpoint `step-<step>.ckpt` of `fabric_core::run`; `ckpt ls` shows a checkpoint",
        plain(&name)
    )))
}

/// The metric that the user names, or the only one of the run.
fn chosen(arguments: &Arguments, listing: &Listing) -> Result<Option<Metric>, Failure> {
    let names = row::metrics(listing);
    let name = match &arguments.metric {
        Some(name) if names.contains(name.as_str()) || !listing.curve(name).is_empty() => name.as_str(),
        Some(name) => return Err(no_metric(&arguments.directory, listing, name)),
        None => match names.first() {
            Some(only) if names.len() == 1 => only,
            _ => return Ok(None),
        },
    };
    let metric = if arguments.highest {
        Metric::highest
    } else {
        Metric::lowest
    };
    Ok(Some(metric(name)))
}

/// The failure of a call that names a metric which the run does not have.
pub(crate) fn no_metric(directory: &Path, listing: &Listing, name: &str) -> Failure {
    let known: Vec<_> = row::metrics(listing).into_iter().map(plain).collect();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    Failure::new(format!(
        "{}: the run has no metric `{}`; its metrics: {known}",
        plain(&directory.to_string_lossy()),
        plain(name)
    ))
}

/// Reads every checkpoint.
fn verify(fabric: &Fabric, rows: &mut [Row]) -> Result<(), Failure> {
    for row in rows.iter_mut().filter(|row| row.health == Health::Unverified) {
        let bar = Bar::new("verify");
        let outcome = row::health(fabric, &row.path, &bar);
        bar.clear();
        row.health = outcome?;
    }
    Ok(())
}

fn print(screen: &mut Screen, listing: &Listing, rows: &[Row], metric: Option<&Metric>) -> Result<(), Failure> {
    let bytes: u64 = rows.iter().filter_map(|row| row.bytes).sum();
    let name = listing.directory.to_string_lossy();
    let name = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let open = if listing.has_lock {
        ", open in a training, or left by a killed one"
    } else {
        ""
    };
    let checkpoints = plural(rows.len(), "checkpoint");
    let heading = format!("{}  {checkpoints}, {}{open}", styled(BOLD, plain(name)), size(bytes));
    screen.line(fitted(&heading, screen.width()))?;
    table::print(screen, rows, metric, SystemTime::now())?;
    for row in rows {
        if let Health::Damaged(why) = &row.health {
            screen.line(format_args!("{} {why}", styled(RED, "damaged:")))?;
        }
    }
    Ok(())
}

fn draw(screen: &mut Screen, listing: &Listing, name: &str, marks: Marks) -> Result<(), Failure> {
    let points = listing.curve(name);
    let curve = Curve::new(&points);
    let missing = points.values().filter(|value| !value.is_finite()).count();
    let besides = if missing == 0 {
        String::new()
    } else {
        format!(", {missing} without a number")
    };
    let title = format!("{}  {}{besides}", plain(name), plural(points.len(), "value"));
    screen.line("")?;
    screen.line(fitted(&title, screen.width()))?;
    for line in curve.lines(screen.width(), marks) {
        screen.line(styled(DIM, line.axis) + &line.curve)?;
    }
    Ok(())
}
