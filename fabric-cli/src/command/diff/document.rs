//! The differences as JSON.

use std::path::Path;

use fabric_core::{Diff, Json, TensorChange, TensorInfo};
use serde::Serialize;

use crate::json::Number;

#[derive(Debug, Serialize)]
pub(super) struct Document<'d> {
    first: String,
    second: String,
    /// None if nothing differs, and contents were not compared.
    equal: Option<bool>,
    contents_compared: bool,
    values: Vec<ChangedValue<'d>>,
    tensors: Vec<ChangedTensor<'d>>,
    only_in_first: &'d [String],
    only_in_second: &'d [String],
    /// None if contents were not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    equal_values: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    equal_tensors: Option<usize>,
}

#[derive(Debug, Serialize)]
struct ChangedValue<'d> {
    name: &'d str,
    first: Json<'d>,
    second: Json<'d>,
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
    pub(super) fn new((first, second): (&Path, &Path), diff: &'d Diff, names_only: bool) -> Self {
        let values = diff.values.iter().map(|value| ChangedValue {
            name: &value.name,
            first: value.first.json(),
            second: value.second.json(),
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
            equal: (!names_only || !diff.is_empty()).then_some(diff.is_empty()),
            contents_compared: !names_only,
            values: values.collect(),
            tensors: tensors.collect(),
            only_in_first: &diff.only_in_first,
            only_in_second: &diff.only_in_second,
            equal_values: (!names_only).then_some(diff.equal_values),
            equal_tensors: (!names_only).then_some(diff.equal_tensors),
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
