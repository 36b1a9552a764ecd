//! Dicts as PyTorch's programs save them, with whatever keys, written as files of `torch.save`.

use std::path::PathBuf;

use candle_core::Tensor;
use fabric_core::{Checkpoint, ExportOptions, Fabric, Visitor, VisitorMut};
use serde_json::{Value, json};

/// A Python object.
pub(crate) enum Py {
    Tensor(Tensor),
    Value(Value),
    Dict(Vec<(String, Py)>),
}

pub(crate) fn dict<K: ToString>(entries: impl IntoIterator<Item = (K, Py)>) -> Py {
    Py::Dict(entries.into_iter().map(|(key, item)| (key.to_string(), item)).collect())
}

pub(crate) fn value(value: impl Into<Value>) -> Py {
    Py::Value(value.into())
}

impl Checkpoint for Py {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        match self {
            Self::Tensor(tensor) => entries.tensor("", tensor),
            Self::Value(value) => entries.metadata("", value),
            Self::Dict(items) => {
                for (key, item) in items {
                    entries.nested(key, |entries| item.visit(entries));
                }
            }
        }
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        match self {
            Self::Tensor(tensor) => entries.tensor("", tensor),
            Self::Value(value) => entries.metadata("", value),
            Self::Dict(items) => {
                for (key, item) in items {
                    entries.nested(key, |entries| item.visit_mut(entries));
                }
            }
        }
    }
}

/// The state dict of a module, under PyTorch's names, with `prefix` in front of them.
pub(crate) fn state_dict<M: Checkpoint>(module: &M, prefix: &str) -> Py {
    let mut root = Vec::new();
    for (name, var) in fabric_core::named_parameters(module) {
        let name = format!("{prefix}{name}");
        let keys: Vec<&str> = name.split('.').collect();
        put(&mut root, &keys, Py::Tensor(var.as_tensor().clone()));
    }
    Py::Dict(root)
}

fn put(items: &mut Vec<(String, Py)>, keys: &[&str], leaf: Py) {
    let (first, rest) = keys.split_first().unwrap();
    if rest.is_empty() {
        items.push(((*first).to_owned(), leaf));
        return;
    }
    let at = items.iter().position(|(key, _)| key == first).unwrap_or_else(|| {
        items.push(((*first).to_owned(), Py::Dict(Vec::new())));
        items.len() - 1
    });
    if let Py::Dict(below) = &mut items[at].1 {
        put(below, rest, leaf);
    }
}

/// The options of a group of PyTorch's `AdamW`, over this many parameters.
pub(crate) fn adamw_group(count: usize) -> Value {
    json!({
        "lr": 0.25, "betas": [0.5, 0.75], "eps": 1e-8, "weight_decay": 0.0, "amsgrad": false, "maximize": false,
        "foreach": null, "capturable": false, "differentiable": false, "fused": null, "decoupled_weight_decay": true,
        "params": (0..count).collect::<Vec<_>>(),
    })
}

/// A state dict of PyTorch's `AdamW` after `steps` steps; the first moment of a parameter is what `moment` says.
pub(crate) fn adamw(groups: Value, moments: &[Tensor], steps: f32) -> Py {
    let one = |(number, moment): (usize, &Tensor)| {
        let state = dict([
            ("step", Py::Tensor(Tensor::new(steps, moment.device()).unwrap())),
            ("exp_avg", Py::Tensor(moment.clone())),
            ("exp_avg_sq", Py::Tensor(moment.sqr().unwrap())),
        ]);
        (number.to_string(), state)
    };
    dict([
        ("state", dict(moments.iter().enumerate().map(one))),
        ("param_groups", Py::Value(groups)),
    ])
}

/// Writes the object with `torch.save`'s format.
pub(crate) fn write(object: &Py) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (own, torch) = (directory.path().join("own"), directory.path().join("file.pt"));
    let fabric = Fabric::new();
    fabric.save(&own, object).unwrap();
    fabric.export(&own, &torch, ExportOptions::new()).unwrap();
    (directory, torch)
}
