//! The table of a run's checkpoints.

use std::time::{Duration, SystemTime};

use fabric_core::run::Metric;

use super::row::{Health, Row};
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, RED, Screen, styled};
use crate::text::{columns, plain, plural, size};

/// The spaces between two columns.
const GAP: &str = "   ";

/// A column of the table: a heading, and a text for each row.
struct Column {
    heading: String,
    texts: Vec<String>,
    is_number: bool,
}

impl Column {
    fn new(heading: &str, is_number: bool, texts: impl Iterator<Item = String>) -> Self {
        Self {
            heading: plain(heading).into_owned(),
            texts: texts.collect(),
            is_number,
        }
    }

    fn width(&self) -> usize {
        let widest = self.texts.iter().map(|text| columns(text)).max().unwrap_or(0);
        widest.max(columns(&self.heading))
    }

    /// A text with the spaces that fill the column.
    fn filled(&self, text: &str) -> String {
        let spaces = " ".repeat(self.width().saturating_sub(columns(text)));
        if self.is_number {
            format!("{spaces}{text}")
        } else {
            format!("{text}{spaces}")
        }
    }
}

/// Prints the table. Metrics that do not fit are left out, and counted below it.
pub(super) fn print(
    screen: &mut Screen,
    rows: &[Row],
    metric: Option<&Metric>,
    now: SystemTime,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return screen.line(styled(DIM, "no checkpoint yet"));
    }
    let mut table = vec![Column::new("step", true, rows.iter().map(|row| row.step.to_string()))];
    let mut behind = vec![
        Column::new(
            "age",
            true,
            rows.iter()
                .map(|row| row.time.map_or_else(String::new, |time| age(time, now))),
        ),
        Column::new(
            "size",
            true,
            rows.iter().map(|row| row.bytes.map_or_else(String::new, size)),
        ),
    ];
    behind.extend(flags(rows, metric));
    let used: usize = table
        .iter()
        .chain(&behind)
        .map(|column| column.width() + GAP.len())
        .sum();
    let mut room = screen.width().saturating_sub(used);
    let mut left_out = 0;
    for name in names(rows, metric) {
        let values = rows
            .iter()
            .map(|row| row.metrics.get(name).map_or_else(String::new, |value| number(*value)));
        let column = Column::new(name, true, values);
        let width = column.width() + GAP.len();
        if width > room {
            left_out += 1;
            continue;
        }
        room -= width;
        table.push(column);
    }
    table.append(&mut behind);
    let heading: Vec<String> = table.iter().map(|column| column.filled(&column.heading)).collect();
    screen.line(styled(BOLD, heading.join(GAP).trim_end()))?;
    for at in 0..rows.len() {
        let texts: Vec<String> = table.iter().map(|column| column.filled(&column.texts[at])).collect();
        screen.line(texts.join(GAP).trim_end())?;
    }
    if left_out > 0 {
        let left_out = plural(left_out, "more metric");
        screen.line(styled(DIM, format!("{left_out} in a wider terminal, and with --json")))?;
    }
    Ok(())
}

/// The names of the metrics, the chosen one first.
fn names<'r>(rows: &'r [Row], metric: Option<&'r Metric>) -> Vec<&'r str> {
    let mut names: Vec<&str> = rows
        .iter()
        .flat_map(|row| row.metrics.keys())
        .map(String::as_str)
        .collect();
    names.sort_unstable_by_key(|name| (metric.is_none_or(|metric| metric.name() != *name), *name));
    names.dedup();
    names
}

/// The columns with the marks and, if anything is known about it, the health.
fn flags(rows: &[Row], metric: Option<&Metric>) -> Vec<Column> {
    let best = metric.map(|metric| {
        let side = if metric.is_highest() { "highest" } else { "lowest" };
        format!("{side} {}", plain(metric.name()))
    });
    let marks = rows.iter().map(|row| {
        let newest = row.is_newest.then(|| styled(GREEN, "newest"));
        let best = best.as_ref().filter(|_| row.is_best).cloned();
        newest.into_iter().chain(best).collect::<Vec<_>>().join(", ")
    });
    let mut flags = Vec::new();
    if rows.iter().any(|row| row.health != Health::Unverified) {
        let words = rows.iter().map(|row| match &row.health {
            Health::Unverified => String::new(),
            health @ Health::Whole => styled(GREEN, health.word()),
            health @ Health::Damaged(_) => styled(RED, health.word()),
            health @ Health::Gone => health.word().to_owned(),
        });
        flags.push(Column::new("health", false, words));
    }
    flags.push(Column::new("", false, marks));
    flags
}

/// A metric with at most five digits behind the point: `3.25`, `1.2e-7`.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value != 0. && value.is_finite() && !(1e-4..1e9).contains(&magnitude) {
        return format!("{value:.4e}");
    }
    let text = format!("{value:.5}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The age of a checkpoint in its largest unit.
fn age(time: SystemTime, now: SystemTime) -> String {
    const UNITS: [(u64, &str); 3] = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "min")];
    let seconds = now.duration_since(time).unwrap_or(Duration::ZERO).as_secs();
    match UNITS.iter().find(|(unit, _)| seconds >= *unit) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => "< 1 min".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let numbers = [0., 3.25, -0.1, 1_482., 1e-7, 2.5e12, f64::NAN, 0.000_12, 1. / 3.];
        let texts = numbers.map(number);
        assert_eq!(
            texts,
            [
                "0",
                "3.25",
                "-0.1",
                "1482",
                "1.0000e-7",
                "2.5000e12",
                "NaN",
                "0.00012",
                "0.33333"
            ]
        );
    }

    #[test]
    fn ages_are_in_their_largest_unit() {
        let then = SystemTime::UNIX_EPOCH;
        let ages = [0, 59, 60, 3_599, 7_300, 200_000].map(|seconds| age(then, then + Duration::from_secs(seconds)));
        assert_eq!(ages, ["< 1 min", "< 1 min", "1 min", "59 min", "2 h", "2 d"]);
        assert_eq!(age(then + Duration::from_secs(60), then), "< 1 min");
    }
}
