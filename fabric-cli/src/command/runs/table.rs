//! The table of a run's checkpoints.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use fabric_core::run::Metric;

use super::row::{Health, Row};
use crate::failure::Failure;
use crate::screen::{BOLD, DIM, GREEN, RED, Screen, styled};
use crate::text::{columns, fitted, plain, plural, size};

/// The spaces between two columns.
const GAP: &str = "   ";

/// A column of the table: a heading, and a text for each row.
struct Column {
    heading: String,
    texts: Vec<String>,
    is_number: bool,
    /// The columns of the terminal that the widest text takes.
    width: usize,
}

impl Column {
    fn new(heading: &str, is_number: bool, texts: impl Iterator<Item = String>) -> Self {
        let heading = plain(heading).into_owned();
        let texts: Vec<String> = texts.collect();
        let widest = texts.iter().map(|text| columns(text)).max().unwrap_or(0);
        Self {
            width: widest.max(columns(&heading)),
            heading,
            texts,
            is_number,
        }
    }

    /// A text with the spaces that fill the column.
    fn filled(&self, text: &str) -> String {
        let spaces = " ".repeat(self.width.saturating_sub(columns(text)));
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
    for line in lines(screen.width(), rows, metric, now) {
        screen.line(line)?;
    }
    Ok(())
}

/// The lines of the table, in so many columns of the terminal.
fn lines(columns: usize, rows: &[Row], metric: Option<&Metric>, now: SystemTime) -> Vec<String> {
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
    let used: usize = table.iter().chain(&behind).map(|column| column.width + GAP.len()).sum();
    let mut room = columns.saturating_sub(used);
    let mut left_out = 0;
    for name in names(rows, metric) {
        let values = rows
            .iter()
            .map(|row| row.metrics.get(name).map_or_else(String::new, |value| number(*value)));
        let column = Column::new(name, true, values);
        let width = column.width + GAP.len();
        if width > room {
            left_out += 1;
            continue;
        }
        room -= width;
        table.push(column);
    }
    table.append(&mut behind);
    let heading: Vec<String> = table.iter().map(|column| column.filled(&column.heading)).collect();
    let mut lines = vec![styled(BOLD, heading.join(GAP).trim_end())];
    for at in 0..rows.len() {
        let texts: Vec<String> = table.iter().map(|column| column.filled(&column.texts[at])).collect();
        lines.push(texts.join(GAP).trim_end().to_owned());
    }
    if left_out > 0 {
        let left_out = plural(left_out, "more metric");
        lines.push(styled(DIM, format!("{left_out} in a wider terminal, and with --json")));
    }
    for line in &mut lines {
        if let Cow::Owned(fitted) = fitted(line, columns) {
            *line = fitted;
        }
    }
    lines
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
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;
    use crate::text::MEASURED;

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
    fn each_text_of_a_long_table_is_measured_a_few_times() {
        let row = |step: u64| Row {
            step,
            path: PathBuf::new(),
            metrics: BTreeMap::from([("loss".to_owned(), 0.5)]),
            bytes: Some(1024),
            time: None,
            host: None,
            is_newest: step == 1_000,
            is_best: false,
            health: Health::Unverified,
        };
        let rows: Vec<Row> = (1..=1_000).map(row).collect();
        MEASURED.set(0);
        let lines = lines(80, &rows, None, SystemTime::UNIX_EPOCH);
        assert_eq!(lines.len(), 1_001);
        // Five columns: each text for the width of its column and for its spaces, and the whole line.
        let measured = MEASURED.get();
        assert!(measured <= 12 * 1_001, "{measured}");
    }

    #[test]
    fn ages_are_in_their_largest_unit() {
        let then = SystemTime::UNIX_EPOCH;
        let ages = [0, 59, 60, 3_599, 7_300, 200_000].map(|seconds| age(then, then + Duration::from_secs(seconds)));
        assert_eq!(ages, ["< 1 min", "< 1 min", "1 min", "59 min", "2 h", "2 d"]);
        assert_eq!(age(then + Duration::from_secs(60), then), "< 1 min");
    }
}
