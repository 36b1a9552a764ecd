//! What tasks that took turns have shown: rates, ratios, tables and bars.

use crate::figures::{Bar, Bars, Kind, Table};
use crate::table::{duration, number};
use crate::timing::Summary;

/// One task and its times.
pub(crate) struct Timed {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) seconds: Summary,
}

/// The tasks of one measurement, in order.
pub(crate) struct Measured(pub(crate) Vec<Timed>);

impl Measured {
    /// The median seconds of a task; `None` if it was not measured.
    pub(crate) fn seconds(&self, name: &str) -> Option<f64> {
        self.0
            .iter()
            .find(|timed| timed.name == name)
            .map(|timed| timed.seconds.median)
    }

    /// How many times as fast as another task a task was.
    pub(crate) fn ratio(&self, name: &str, other: &str) -> Option<f64> {
        Some(self.seconds(other)? / self.seconds(name)?)
    }

    /// The fastest of these that were measured.
    pub(crate) fn fastest<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        let measured = names.iter().filter_map(|name| Some((self.seconds(name)?, *name)));
        measured
            .min_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, name)| name)
    }

    /// Times, rates and the ratio to a floor; all tasks move `bytes`.
    pub(crate) fn table(&self, caption: &str, bytes: usize, floor: &str) -> Table {
        let row = |timed: &Timed| {
            let (low, high) = timed.seconds.quartiles;
            let ratio = self
                .ratio(&timed.name, floor)
                .map_or_else(String::new, |ratio| number(ratio) + "x");
            vec![
                timed.name.clone(),
                duration(timed.seconds.median),
                format!("{} to {}", duration(low), duration(high)),
                format!("{} GB/s", number(rate(bytes, timed.seconds.median))),
                ratio,
            ]
        };
        let floor = format!("speed relative to {floor}");
        Table {
            caption: caption.to_owned(),
            head: ["", "median", "quartiles", "rate", &floor].map(str::to_owned).to_vec(),
            rows: self.0.iter().map(row).collect(),
        }
    }

    /// Times and rates, where there is no floor for all; all tasks move `bytes`.
    pub(crate) fn table_of_rates(&self, caption: &str, bytes: usize) -> Table {
        let mut table = self.table(caption, bytes, "");
        table.head.pop();
        table.rows.iter_mut().for_each(|row| row.truncate(table.head.len()));
        table
    }

    /// What one of `count` things costs.
    pub(crate) fn table_of_each(&self, caption: &str, count: usize) -> Table {
        let each = |seconds: f64| format!("{} us", number(micros(seconds, count)));
        let row = |timed: &Timed| {
            let (low, high) = timed.seconds.quartiles;
            vec![
                timed.name.clone(),
                each(timed.seconds.median),
                format!("{} to {}", each(low), each(high)),
            ]
        };
        Table {
            caption: caption.to_owned(),
            head: ["", "median per tensor", "quartiles"].map(str::to_owned).to_vec(),
            rows: self.0.iter().map(row).collect(),
        }
    }

    /// The rates as bars, the fastest first.
    pub(crate) fn bars(&self, name: &str, title: &str, bytes: usize) -> Bars {
        let bar = |timed: &Timed| Bar {
            name: timed.name.clone(),
            value: rate(bytes, timed.seconds.median),
            quartiles: (
                rate(bytes, timed.seconds.quartiles.1),
                rate(bytes, timed.seconds.quartiles.0),
            ),
            kind: timed.kind,
        };
        let mut bars: Vec<Bar> = self.0.iter().map(bar).collect();
        bars.sort_by(|one, other| other.value.total_cmp(&one.value));
        Bars {
            name: name.to_owned(),
            title: title.to_owned(),
            unit: "GB/s (higher is better)".to_owned(),
            bars,
        }
    }
}

/// Gigabytes a second.
pub(crate) fn rate(bytes: usize, seconds: f64) -> f64 {
    float(bytes) / seconds / 1e9
}

/// Microseconds for each of `count`.
pub(crate) fn micros(seconds: f64, count: usize) -> f64 {
    seconds * 1e6 / float(count)
}

/// A count for arithmetic.
#[allow(
    clippy::cast_precision_loss,
    reason = "a float holds more bytes exactly than any machine has"
)]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}
