//! The document of `ckpt runs --json`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use fabric_core::run::{Listing, Metric};
use serde::Serialize;

use super::row::{Health, Row};
use crate::json::Number;

#[derive(Serialize)]
pub(super) struct Document<'r> {
    directory: String,
    has_lock: bool,
    checkpoints: Vec<Checkpoint<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<Points<'r>>,
}

#[derive(Serialize)]
struct Checkpoint<'r> {
    step: u64,
    path: String,
    /// Seconds since 1970, UTC.
    time: Option<Number>,
    bytes: Option<u64>,
    metrics: BTreeMap<&'r str, Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'r str>,
    newest: bool,
    best: bool,
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'r str>,
}

/// The metric by which a checkpoint is best, with all of its values.
#[derive(Serialize)]
struct Points<'r> {
    metric: &'r str,
    best_is: &'static str,
    steps: Vec<u64>,
    values: Vec<Number>,
}

pub(super) fn of<'r>(listing: &Listing, rows: &'r [Row], metric: Option<&'r Metric>) -> Document<'r> {
    let curve = metric.map(|metric| {
        let points = listing.curve(metric.name());
        Points {
            metric: metric.name(),
            best_is: if metric.is_highest() { "highest" } else { "lowest" },
            steps: points.keys().copied().collect(),
            values: points.values().copied().map(Number).collect(),
        }
    });
    Document {
        directory: listing.directory.to_string_lossy().into_owned(),
        has_lock: listing.has_lock,
        checkpoints: rows.iter().map(checkpoint).collect(),
        curve,
    }
}

fn checkpoint(row: &Row) -> Checkpoint<'_> {
    let metrics = row.metrics.iter();
    Checkpoint {
        step: row.step,
        path: row.path.to_string_lossy().into_owned(),
        time: row.time.map(seconds),
        bytes: row.bytes,
        metrics: metrics.map(|(name, value)| (name.as_str(), Number(*value))).collect(),
        host: row.host.as_deref(),
        newest: row.is_newest,
        best: row.is_best,
        health: row.health.word(),
        error: match &row.health {
            Health::Damaged(why) => Some(why),
            _ => None,
        },
    }
}

fn seconds(time: SystemTime) -> Number {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Number(since.as_secs_f64())
}
