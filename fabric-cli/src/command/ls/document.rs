//! The document of `ls --json`.

use std::collections::BTreeMap;
use std::path::Path;

use fabric_core::{Description, Json, OptimizerSummary, RawCheckpoint};
use serde::Serialize;

use super::header::Totals;
use crate::entries::{Content, Entry};
use crate::json::Number;
use crate::time::utc;

/// All that is known about the entries of a checkpoint. Names without a meaning for the format are null.
#[derive(Debug, Serialize)]
pub(super) struct Document<'d> {
    path: String,
    format: String,
    writer: Option<&'d str>,
    strategy: Option<&'d str>,
    mesh: Vec<Axis<'d>>,
    structs: Vec<Struct<'d>>,
    run: Option<Run<'d>>,
    files: usize,
    file_bytes: u64,
    totals: &'d Totals,
    entries: Vec<EntryRecord<'d>>,
    optimizers: Vec<Optimizer<'d>>,
    filtered: Vec<&'d str>,
}

#[derive(Debug, Serialize)]
struct Axis<'d> {
    name: &'d str,
    size: u64,
}

#[derive(Debug, Serialize)]
struct Struct<'d> {
    path: &'d str,
    name: &'d str,
    version: u32,
}

#[derive(Debug, Serialize)]
struct Run<'d> {
    step: u64,
    time: String,
    metrics: BTreeMap<&'d str, Number>,
    host: Option<&'d str>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum EntryRecord<'d> {
    Tensor {
        name: &'d str,
        dtype: &'static str,
        shape: &'d [usize],
        elements: usize,
        bytes: usize,
        tied_to: Option<&'d str>,
    },
    Value {
        name: &'d str,
        value: Json<'d>,
    },
}

impl<'d> EntryRecord<'d> {
    fn of(entry: &Entry<'d>) -> Option<Self> {
        let name = entry.name;
        match &entry.content {
            Content::Tensor {
                info,
                tied_to,
                unlisted,
            } => Some(Self::Tensor {
                name,
                dtype: info.dtype().name(),
                shape: info.shape(),
                elements: info.elements().unwrap_or_default(),
                bytes: info.byte_len().unwrap_or_default(),
                tied_to: tied_to.or(*unlisted),
            }),
            Content::Value(value) => Some(Self::Value {
                name,
                value: value.json(),
            }),
            // The document has the entries of optimizers.
            Content::Optimizer { .. } => None,
        }
    }
}

#[derive(Debug, Serialize)]
struct Optimizer<'d> {
    name: &'d str,
    kind: Option<&'d str>,
    parameters: usize,
    step: Option<u64>,
    groups: Vec<BTreeMap<&'d str, Json<'d>>>,
    entries: usize,
    bytes: u64,
}

impl<'d> Optimizer<'d> {
    fn of(summary: &'d OptimizerSummary) -> Self {
        let group = |group: &'d BTreeMap<String, fabric_core::Value>| {
            let options = group.iter().map(|(name, value)| (name.as_str(), value.json()));
            options.collect()
        };
        Self {
            name: &summary.name,
            kind: summary.kind.as_deref(),
            parameters: summary.parameters,
            step: summary.step,
            groups: summary.groups.iter().map(group).collect(),
            entries: summary.entries,
            bytes: summary.bytes,
        }
    }
}

impl<'d> Document<'d> {
    pub(super) fn new(
        path: &Path,
        description: &'d Description,
        totals: &'d Totals,
        entries: &[Entry<'d>],
        optimizers: &'d [OptimizerSummary],
        raw: &'d RawCheckpoint,
    ) -> Self {
        let run = description.run.as_ref().map(|run| Run {
            step: run.step,
            time: utc(run.time),
            metrics: run
                .metrics
                .iter()
                .map(|(name, value)| (name.as_str(), Number(*value)))
                .collect(),
            host: run.host.as_deref(),
        });
        let structs = description.structs.iter().map(|found| Struct {
            path: &found.path,
            name: &found.name,
            version: found.version,
        });
        Self {
            path: path.to_string_lossy().into_owned(),
            format: description.format.to_string(),
            writer: description.writer.as_deref(),
            strategy: description.strategy.as_deref(),
            mesh: description
                .mesh
                .iter()
                .map(|(name, size)| Axis { name, size: *size })
                .collect(),
            structs: structs.collect(),
            run,
            files: description.files,
            file_bytes: description.bytes,
            totals,
            entries: entries.iter().filter_map(EntryRecord::of).collect(),
            optimizers: optimizers.iter().map(Optimizer::of).collect(),
            filtered: raw.filtered(),
        }
    }
}
