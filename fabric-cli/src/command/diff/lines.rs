//! The differences as lines of a terminal.

use std::collections::BTreeMap;

use fabric_core::{Diff, RawCheckpoint, TensorDiff, ValueDiff};

use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, RED, Screen, styled};
use crate::text::{columns, cut, cut_start, plain, plural};

/// The fewest values that become one line if they changed alike.
const FOLDED_FROM: usize = 3;

/// The most columns that a value takes.
const LONGEST_VALUE: usize = 60;

/// The fewest columns of a name, if the terminal has them: the columns behind it are cut before.
const SHORTEST_NAME: usize = 24;

/// The part of the differences that is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// The most values, tensors, and names of each checkpoint.
    pub(super) limit: usize,
    /// True if contents were not compared.
    pub(super) names_only: bool,
}

/// Prints the differences.
///
/// # Errors
/// If the output cannot be written.
pub(super) fn print(
    screen: &mut Screen,
    checkpoints: (&RawCheckpoint, &RawCheckpoint),
    diff: &Diff,
    shown: Shown,
) -> Result<(), Failure> {
    let limit = shown.limit;
    if diff.is_empty() && shown.names_only {
        return screen.line("names, types and shapes are equal; contents were not compared");
    }
    if diff.is_empty() {
        let (tensors, values) = (plural(diff.equal_tensors, "tensor"), plural(diff.equal_values, "value"));
        return screen.line(format!("no difference in {tensors} and {values}"));
    }
    values(screen, &diff.values, limit)?;
    tensors(screen, &diff.tensors, limit)?;
    only(screen, checkpoints.0, &diff.only_in_first, ("first", RED), limit)?;
    only(screen, checkpoints.1, &diff.only_in_second, ("second", GREEN), limit)?;
    let of = |differ: usize, equal: usize, one: &str| format!("{differ} of {}", plural(differ + equal, one));
    let tensors = of(diff.tensors.len(), diff.equal_tensors, "tensor");
    let mut summary = if shown.names_only {
        vec![format!("{tensors} in type or shape")]
    } else {
        vec![of(diff.values.len(), diff.equal_values, "value"), tensors]
    };
    let only = [(&diff.only_in_first, "first"), (&diff.only_in_second, "second")];
    let only = only.into_iter().filter(|(names, _)| !names.is_empty());
    summary.extend(only.map(|(names, which)| format!("{} only in the {which}", names.len())));
    let remark = if shown.names_only {
        "; contents were not compared"
    } else {
        ""
    };
    screen.line(format!("differ: {}{remark}", summary.join(", ")))
}

/// The values, those folded that changed alike: the step counts of an optimizer.
fn values(screen: &mut Screen, values: &[ValueDiff], limit: usize) -> Result<(), Failure> {
    let mut alike: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for value in values {
        let last = value.name.rsplit('.').next().unwrap_or_default();
        alike.entry((last, change(value))).or_default().push(&value.name);
    }
    // In the order of the first name of each line.
    let mut lines: Vec<(&str, String, String)> = Vec::new();
    for ((last, change), names) in alike {
        if names.len() < FOLDED_FROM {
            lines.extend(
                names
                    .into_iter()
                    .map(|name| (name, plain(name).into_owned(), change.clone())),
            );
        } else {
            let folded = format!("{}*.{last} ({})", shared_prefix(&names), names.len());
            lines.push((names[0], plain(&folded).into_owned(), change));
        }
    }
    lines.sort();
    let rows = lines.iter().map(|(_, name, change)| vec![name.clone(), change.clone()]);
    table(screen, &[], &rows.take(limit).collect::<Vec<_>>())?;
    rest(screen, lines.len(), limit, "value")?;
    separate(screen, lines.is_empty())
}

fn change(value: &ValueDiff) -> String {
    let [first, second] = [&value.first, &value.second].map(|value| {
        let json = value.json().to_string();
        cut(&plain(&json), LONGEST_VALUE).into_owned()
    });
    format!("{first} -> {second}")
}

/// The segments that all names begin with, each with its dot.
fn shared_prefix<'n>(names: &[&'n str]) -> &'n str {
    let first = names.first().copied().unwrap_or_default();
    let ends = first.match_indices('.').map(|(at, _)| at + 1);
    let mut shared = ends.map(|end| &first[..end]).collect::<Vec<_>>();
    shared.pop();
    let is_shared = |prefix: &&&str| names.iter().all(|name| name.starts_with(**prefix));
    shared.iter().rev().find(is_shared).copied().unwrap_or_default()
}

fn tensors(screen: &mut Screen, tensors: &[TensorDiff], limit: usize) -> Result<(), Failure> {
    let heading = ["tensor", "relative change", "largest change", "changed elements", ""];
    let rows: Vec<_> = tensors.iter().take(limit).map(row).collect();
    table(screen, if tensors.is_empty() { &[] } else { &heading }, &rows)?;
    rest(screen, tensors.len(), limit, "tensor")?;
    separate(screen, tensors.is_empty())
}

fn row(tensor: &TensorDiff) -> Vec<String> {
    let number = |number: Option<f64>| match number {
        None => "-".to_owned(),
        Some(number) if number.is_infinite() => "infinite".to_owned(),
        Some(0.) => "0".to_owned(),
        Some(number) => format!("{number:.1e}"),
    };
    let all = tensor.first.elements().unwrap_or_default();
    let elements = tensor.change.map(|change| format!("{} of {all}", change.elements));
    let kinds = if tensor.first == tensor.second {
        String::new()
    } else {
        format!("{} -> {}", tensor.first, tensor.second)
    };
    vec![
        plain(&tensor.name).into_owned(),
        number(tensor.change.and_then(|change| change.relative)),
        number(tensor.change.and_then(|change| change.largest)),
        elements.unwrap_or_else(|| "-".to_owned()),
        kinds,
    ]
}

/// The names that one checkpoint has.
fn only(
    screen: &mut Screen,
    raw: &RawCheckpoint,
    names: &[String],
    (which, style): (&str, anstyle::Style),
    limit: usize,
) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    screen.line(styled(style, format!("only in the {which}: {}", names.len())))?;
    let described = |name: &String| {
        let info = raw.info(name).map(ToString::to_string);
        let value = raw
            .stored_value(name)
            .ok()
            .map(|value| cut(&plain(&value.json().to_string()), LONGEST_VALUE).into_owned());
        vec![format!("  {}", plain(name)), info.or(value).unwrap_or_default()]
    };
    table(
        screen,
        &[],
        &names.iter().take(limit).map(described).collect::<Vec<_>>(),
    )?;
    rest(screen, names.len(), limit, "name")?;
    separate(screen, false)
}

/// Prints rows in columns. Where the terminal is too narrow, names, the first column, are cut at their start, and then lines at their
/// end.
fn table(screen: &mut Screen, heading: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let heading: Vec<String> = heading.iter().map(ToString::to_string).collect();
    let all = || {
        rows.iter()
            .chain(std::iter::once(&heading).filter(|heading| !heading.is_empty()))
    };
    let count = all().map(Vec::len).max().unwrap_or_default();
    let mut widths: Vec<usize> = (0..count)
        .map(|column| {
            all()
                .filter_map(|row| row.get(column))
                .map(|cell| columns(cell))
                .max()
                .unwrap_or_default()
        })
        .collect();
    let width = screen.width();
    // An empty column takes no place.
    let others = widths.iter().skip(1).filter(|width| **width > 0).map(|width| width + 2);
    let others: usize = others.sum();
    if let Some(first) = widths.first_mut() {
        *first = (*first).min(width.saturating_sub(others).max(SHORTEST_NAME.min(width)));
    }
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            let cell = if column == 0 { name(cell, *width) } else { cell.clone() };
            let padding = " ".repeat(width.saturating_sub(columns(&cell)));
            format!("{cell}{padding}")
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        cut(line.trim_end(), width).into_owned()
    };
    if !heading.is_empty() {
        screen.line(styled(BOLD, line(&heading)))?;
    }
    rows.iter().try_for_each(|row| screen.line(line(row)))
}

/// A name, cut behind its indent.
fn name(cell: &str, width: usize) -> String {
    let name = cell.trim_start_matches(' ');
    let indent = &cell[..cell.len() - name.len()];
    format!("{indent}{}", cut_start(name, width.saturating_sub(indent.len())))
}

/// Says how many were not printed.
fn rest(screen: &mut Screen, all: usize, limit: usize, one: &str) -> Result<(), Failure> {
    match all.checked_sub(limit) {
        None | Some(0) => Ok(()),
        Some(more) => {
            let text = format!("… and {} more; --limit 0 prints all", plural(more, one));
            let line = styled(DIM, cut(&text, screen.width()));
            screen.line(line)
        }
    }
}

/// An empty line behind a part that has lines.
fn separate(screen: &mut Screen, is_empty: bool) -> Result<(), Failure> {
    if is_empty { Ok(()) } else { screen.line("") }
}
