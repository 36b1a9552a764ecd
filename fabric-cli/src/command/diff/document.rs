//! The differences as JSON.

use std::path::Path;

use fabric_core::{Diff, TensorChange, TensorInfo, Value};
use serde::Serialize;

use crate::json::Number;

#[derive(Debug, Serialize)]
pub(super) struct Document<'d> {
    first: String,
    second: String,
    equal: bool,
    values: Vec<ChangedValue<'d>>,
    tensors: Vec<ChangedTensor<'d>>,
    only_in_first: &'d [String],
    only_in_second: &'d [String],
    equal_values: usize,
    equal_tensors: usize,
}

#[derive(Debug, Serialize)]
struct ChangedValue<'d> {
    name: &'d str,
    first: serde_json::Value,
    second: serde_json::Value,
}

#[derive(Debug, Serialize)]
struct ChangedTensor<'d> {
    name: &'d str,
    first: Kind<'d>,
    second: Kind<'d>,
    changed_elements: Option<u64>,
    largest_change: Option<Number>,
    relative_change: Option<Number>,
}

/// The element type and the shape of a tensor.
#[derive(Debug, Serialize)]
struct Kind<'d> {
    dtype: &'static str,
    shape: &'d [usize],
}

impl<'d> Document<'d> {
    pub(super) fn new((first, second): (&Path, &Path), diff: &'d Diff) -> Self {
        let values = diff.values.iter().map(|value| ChangedValue {
            name: &value.name,
            first: as_json(&value.first),
            second: as_json(&value.second),
        });
        let number = |measure: fn(TensorChange) -> Option<f64>, change: Option<TensorChange>| {
            change.and_then(measure).map(Number)
        };
        let tensors = diff.tensors.iter().map(|tensor| ChangedTensor {
            name: &tensor.name,
            first: Kind::of(&tensor.first),
            second: Kind::of(&tensor.second),
            changed_elements: tensor.change.map(|change| change.elements),
            largest_change: number(|change| change.largest, tensor.change),
            relative_change: number(|change| change.relative, tensor.change),
        });
        Self {
            first: first.to_string_lossy().into_owned(),
            second: second.to_string_lossy().into_owned(),
            equal: diff.is_empty(),
            values: values.collect(),
            tensors: tensors.collect(),
            only_in_first: &diff.only_in_first,
            only_in_second: &diff.only_in_second,
            equal_values: diff.equal_values,
            equal_tensors: diff.equal_tensors,
        }
    }
}

impl<'d> Kind<'d> {
    fn of(info: &'d TensorInfo) -> Self {
        Self {
            dtype: info.dtype().name(),
            shape: info.shape(),
        }
    }
}

/// A value as JSON; a text about it if JSON has nothing for it.
pub(super) fn as_json(value: &Value) -> serde_json::Value {
    let number = || value.decode().ok().map(|number| serde_json::json!(Number(number)));
    match value.decode::<serde_json::Value>() {
        Ok(serde_json::Value::Null) if !value.is_null() => number().unwrap_or_default(),
        Ok(json) => json,
        Err(error) => serde_json::Value::String(error.to_string()),
    }
}
