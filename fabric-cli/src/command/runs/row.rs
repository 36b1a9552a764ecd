//! The rows of a run's table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fabric_core::run::{Listing, Metric};
use fabric_core::{Damage, Error, Fabric, VerifyOptions};

use crate::bar::Bar;
use crate::failure::{Failure, sentence};
use crate::text::plain;

/// The health of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Its head can be read; nobody has read its tensors.
    Unverified,
    /// Every byte matches its checksum.
    Whole,
    /// The sentence of the error.
    Damaged(String),
    /// A run has removed it since it was listed.
    Gone,
}

impl Health {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Whole => "whole",
            Self::Damaged(_) => "damaged",
            Self::Gone => "gone",
        }
    }
}

/// A checkpoint of the run.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) step: u64,
    pub(crate) path: PathBuf,
    pub(crate) metrics: BTreeMap<String, f64>,
    /// `None` if its head cannot be read.
    pub(crate) bytes: Option<u64>,
    pub(crate) time: Option<SystemTime>,
    pub(crate) host: Option<String>,
    pub(crate) is_newest: bool,
    pub(crate) is_best: bool,
    pub(crate) health: Health,
}

/// All checkpoints, in the order of their steps.
pub(crate) fn rows(listing: &Listing) -> Vec<Row> {
    let read = listing.checkpoints.iter().map(|one| Row {
        step: one.step,
        path: one.path.clone(),
        metrics: one.metrics.clone(),
        bytes: Some(one.bytes),
        time: Some(one.time),
        host: one.host.clone(),
        is_newest: false,
        is_best: false,
        health: Health::Unverified,
    });
    let damaged = listing.damaged.iter().map(|one| Row {
        step: one.step,
        path: one.path.clone(),
        metrics: BTreeMap::new(),
        bytes: None,
        time: None,
        host: None,
        is_newest: false,
        is_best: false,
        health: Health::Damaged(sentence(&one.path, &one.error)),
    });
    let mut rows: Vec<Row> = read.chain(damaged).collect();
    rows.sort_by_key(|row| row.step);
    rows
}

/// Marks the newest and the best one of the checkpoints that are not known to be damaged.
pub(crate) fn mark(rows: &mut [Row], listing: &mut Listing, metric: Option<&Metric>) {
    let is_whole = |row: &&Row| matches!(row.health, Health::Unverified | Health::Whole);
    let whole: BTreeSet<u64> = rows.iter().filter(is_whole).map(|row| row.step).collect();
    let all = listing.checkpoints.clone();
    listing.checkpoints.retain(|one| whole.contains(&one.step));
    let newest = listing.latest().map(|one| one.step);
    let best = metric.and_then(|metric| listing.best(metric)).map(|one| one.step);
    listing.checkpoints = all;
    for row in rows {
        row.is_newest = newest == Some(row.step);
        row.is_best = best == Some(row.step);
    }
}

/// The names of the metrics of the checkpoints.
pub(crate) fn metrics(listing: &Listing) -> BTreeSet<&str> {
    let names = listing.checkpoints.iter().flat_map(|one| one.metrics.keys());
    names.map(String::as_str).collect()
}

/// Reads a checkpoint, and says whether it is whole.
///
/// # Errors
/// If reading it fails for another reason than damage.
pub(crate) fn health(fabric: &Fabric, path: &Path, bar: &Bar) -> Result<Health, Failure> {
    let options = VerifyOptions::new().progress(bar.callback());
    match fabric.verify_with(path, options) {
        Ok(report) => Ok(match &report.damaged[..] {
            [] => Health::Whole,
            [first, others @ ..] => Health::Damaged(told(first, others.len())),
        }),
        Err(error @ Error::UnknownFormat { .. }) => Ok(Health::Damaged(sentence(path, &error))),
        Err(Error::NotFound { .. }) => Ok(Health::Gone),
        Err(error) => Err(Failure::of(path, &error)),
    }
}

/// The first damaged place, and the number of the others.
fn told(first: &Damage, others: usize) -> String {
    let first = plain(&first.to_string()).into_owned();
    match others {
        0 => first,
        1 => format!("{first}; and 1 more place"),
        others => format!("{first}; and {others} more places"),
    }
}
