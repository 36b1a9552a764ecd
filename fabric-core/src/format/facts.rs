//! The facts that a run stores in the head of each of its checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::manifest::Fact;
use crate::error::{Result, StateError};
use crate::value::Value;

const DAMAGED: &str = "damaged";
const HOST: &str = "host";
const METRICS: &str = "metrics";
const ORDER: &str = "order";
const STEP: &str = "step";
const TIME: &str = "time";

/// The facts about a checkpoint of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    pub(crate) step: u64,
    /// The place among all checkpoints of the run in the order in which they were saved, from 1.
    pub(crate) order: u64,
    pub(crate) time: SystemTime,
    pub(crate) metrics: BTreeMap<String, f64>,
    pub(crate) host: Option<String>,
    /// The other checkpoints of the run that a resume found damaged, and which were still there at the save: a later process
    /// learns of them by this.
    pub(crate) damaged: Marks,
}

/// Checkpoints by their steps and their places in the order, which no other checkpoint of the run has.
pub(crate) type Marks = BTreeSet<(u64, u64)>;

impl Facts {
    /// The keys and values of the facts, sorted by their keys, as the options of a save hold them.
    ///
    /// # Errors
    /// If a metric has no form in the file.
    pub(crate) fn to_pairs(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let seconds = self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut facts = Vec::new();
        if !self.damaged.is_empty() {
            facts.push(fact(DAMAGED, &self.damaged)?);
        }
        facts.extend(self.host.as_ref().map(|host| fact(HOST, host)).transpose()?);
        facts.push(fact(METRICS, &self.metrics)?);
        facts.push(fact(ORDER, &self.order)?);
        facts.push(fact(STEP, &self.step)?);
        facts.push(fact(TIME, &seconds.as_secs_f64())?);
        Ok(facts.into_iter().map(|fact: Fact| (fact.key, fact.value)).collect())
    }

    /// The facts of a checkpoint; `None` if no run wrote it.
    pub(crate) fn of(facts: &[Fact]) -> Option<Self> {
        let seconds: f64 = read(facts, TIME)?;
        let since = Duration::try_from_secs_f64(seconds).ok()?;
        Some(Self {
            step: read(facts, STEP)?,
            order: read(facts, ORDER)?,
            time: SystemTime::UNIX_EPOCH.checked_add(since)?,
            metrics: read(facts, METRICS)?,
            host: read(facts, HOST),
            damaged: read(facts, DAMAGED).unwrap_or_default(),
        })
    }
}

/// A fact for the head of a manifest.
///
/// # Errors
/// If the value has no form in a file, or the system lacks the memory.
pub(crate) fn fact<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Fact> {
    let value = Value::of(value).and_then(|value| value.to_bytes());
    let value = value.map_err(|error| StateError::Value {
        name: key.to_owned(),
        what: error.to_string(),
    })?;
    let key = key.to_owned();
    Ok(Fact { key, value })
}

/// The value of a fact; `None` if no fact has the key, or it has another type.
pub(crate) fn read<'f, T: DeserializeOwned>(facts: impl IntoIterator<Item = &'f Fact>, key: &str) -> Option<T> {
    let fact = facts.into_iter().find(|fact| fact.key == key)?;
    Value::from_bytes(&fact.value).ok()?.decode().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_back_and_others_are_passed_over() {
        let facts = Facts {
            step: u64::MAX,
            order: 3,
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            metrics: [("loss".to_owned(), 0.1), ("odd".to_owned(), f64::NAN)].into(),
            host: Some("node".to_owned()),
            damaged: [(7, 2)].into(),
        };
        let stored = facts.to_pairs().unwrap().into_iter();
        let mut stored: Vec<Fact> = stored.map(|(key, value)| Fact { key, value }).collect();
        stored.push(fact("zebra", "unknown").unwrap());
        assert!(stored.is_sorted_by(|a, b| a.key < b.key));
        let read = Facts::of(&stored).unwrap();
        assert!(read.metrics["odd"].is_nan());
        assert_eq!((read.step, read.order, read.time), (facts.step, 3, facts.time));
        assert_eq!(
            (read.metrics["loss"], read.host, read.damaged),
            (0.1, facts.host, facts.damaged)
        );
        stored.retain(|fact| fact.key != STEP);
        assert_eq!(Facts::of(&stored), None);
    }
}
