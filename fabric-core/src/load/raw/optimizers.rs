//! Optimizers in a checkpoint, recognised by the names of their entries.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::RawCheckpoint;
use crate::entry::{Element, join};
use crate::error::Result;
use crate::value::Value;

pub(crate) const GROUPS: &str = "param_groups";
pub(crate) const PARAMS: &str = "params";
pub(crate) const NAMES: &str = "param_names";

/// An optimizer in a checkpoint, which [`RawCheckpoint::optimizers`] finds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OptimizerSummary {
    /// The name that the names of its entries begin with; empty if the file holds the optimizer alone.
    pub name: String,
    /// The kind: that in the file, `AdamW` for instance, or the one of PyTorch's optimizers to which the hyper-parameters belong.
    /// `None` if neither says it.
    pub kind: Option<String>,
    /// The number of parameters in all groups.
    pub parameters: usize,
    /// The number of steps that it has taken: that of the first parameter with a count. `None` before the first step, and for
    /// optimizers that do not count.
    pub step: Option<u64>,
    /// The hyper-parameters of each group of parameters, by name.
    pub groups: Vec<BTreeMap<String, Value>>,
    /// The number of its entries: `kind`, `param_groups`, and those of `state`.
    pub entries: usize,
    /// The size of its tensors in bytes.
    pub bytes: u64,
}

impl RawCheckpoint {
    /// The optimizers in the checkpoint, sorted by name: everything with a value `param_groups` as PyTorch's `state_dict` has it, a
    /// list of groups each with its `params`. Checkpoints of this library, files of `torch.save` and distributed checkpoints have
    /// them so; bare weights have none.
    ///
    /// A file of PyTorch keeps the number of steps in a tensor, and the call reads one such tensor for each optimizer.
    ///
    /// # Errors
    /// If this tensor is damaged, or cannot be read.
    pub fn optimizers(&self) -> Result<Vec<OptimizerSummary>> {
        let values = self.index.values.iter();
        let found = values.filter_map(|(name, value)| Some((root(name)?, groups(value)?)));
        found.map(|(root, groups)| self.optimizer(root, &groups)).collect()
    }

    fn optimizer(&self, root: &str, groups: &[BTreeMap<String, Value>]) -> Result<OptimizerSummary> {
        let params = groups.iter().filter_map(|group| group.get(PARAMS)?.0.as_array());
        let named: Option<String> = self
            .index
            .values
            .get(&join(root, "kind"))
            .and_then(|kind| kind.decode().ok());
        let own = ["kind", GROUPS, "state"].map(|part| join(root, part));
        let all: Vec<&str> = own.iter().flat_map(|part| self.index.names_below(part)).collect();
        let sizes = all.iter().filter_map(|name| self.info(name)?.byte_len());
        let options = |group: &BTreeMap<String, Value>| {
            let options = group.iter().filter(|(key, _)| ![PARAMS, NAMES].contains(&key.as_str()));
            options.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        Ok(OptimizerSummary {
            name: root.to_owned(),
            kind: named.or_else(|| groups.first().and_then(kind).map(str::to_owned)),
            parameters: params.map(Vec::len).sum(),
            step: self.step(&join(root, "state"))?,
            groups: groups.iter().map(options).collect(),
            entries: all.len(),
            bytes: sizes.map(|len| len as u64).sum(),
        })
    }

    /// The first count of steps below `state`.
    fn step(&self, state: &str) -> Result<Option<u64>> {
        let below = format!("{state}.");
        let value = first_step(&self.index.values, &below).and_then(|(_, value)| value.decode().ok());
        if value.is_some() {
            return Ok(value);
        }
        let Some((name, stored)) = first_step(&self.index.tensors, &below) else {
            return Ok(None);
        };
        if stored.info.elements() != Some(1) || !Element::can_be(stored.info.dtype()) {
            return Ok(None);
        }
        let mut step = None;
        self.elements(name, &[], |elements| {
            step = elements.first().map(|element| element.to_f64());
            ControlFlow::Break(())
        })?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of steps is below 2^53"
        )]
        Ok(step.filter(|step| *step >= 0.).map(|step| step as u64))
    }
}

/// The first entry below a prefix that ends with `.step`.
fn first_step<'i, V>(entries: &'i BTreeMap<String, V>, below: &str) -> Option<(&'i str, &'i V)> {
    let from = entries.range::<str, _>((Bound::Excluded(below), Bound::Unbounded));
    let mut state = from.take_while(|(name, _)| name.starts_with(below));
    let found = state.find(|(name, _)| name.rsplit('.').next() == Some("step"));
    found.map(|(name, entry)| (name.as_str(), entry))
}

/// The name of an optimizer, by the name of its `param_groups`.
pub(crate) fn root(name: &str) -> Option<&str> {
    let root = name.strip_suffix(GROUPS)?;
    if root.is_empty() {
        Some(root)
    } else {
        root.strip_suffix('.')
    }
}

/// The groups, if a value is a list of them.
fn groups(value: &Value) -> Option<Vec<BTreeMap<String, Value>>> {
    let group = |group: &Value| -> Option<BTreeMap<String, Value>> {
        let group: BTreeMap<String, Value> = group.as_map()?.into_iter().collect();
        group.get(PARAMS)?.0.is_array().then_some(group)
    };
    value.as_list()?.iter().map(group).collect()
}

/// The kind of PyTorch's optimizer with these hyper-parameters.
fn kind(group: &BTreeMap<String, Value>) -> Option<&'static str> {
    let has = |key: &str| group.contains_key(key);
    match group.get("decoupled_weight_decay").map(Value::decode::<bool>) {
        Some(Ok(true)) if has("betas") && has("amsgrad") => Some("AdamW"),
        Some(Ok(false)) if has("betas") && has("amsgrad") => Some("Adam"),
        _ if has("alpha") && has("centered") => Some("RMSprop"),
        _ if has("dampening") && has("nesterov") => Some("SGD"),
        _ => None,
    }
}
