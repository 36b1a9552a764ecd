//! Decodes every value before any is assigned.

use super::Places;
use crate::plan::load::{Absence, LoadPlan};
use crate::raw::RawCheckpoint;
use crate::report::{Mismatch, MismatchKind};
use crate::state::{Content, NamedOptimizer, OptimizerPart, OptimizerState, ParamGroup, ValueSlot};
use crate::value::{Value, ValueError};

/// What optimizers will be given; plain values are staged in their slots.
pub(crate) struct Staged {
    optimizers: Vec<StagedOptimizer>,
}

#[derive(Clone, Default)]
struct StagedOptimizer {
    touched: bool,
    groups: Option<Vec<ParamGroup>>,
    steps: Vec<Option<u64>>,
}

/// Whether absence is a value of the type behind the slot.
pub(crate) fn absence(slot: &(dyn ValueSlot + '_)) -> Absence {
    if slot.absence_is_a_value() {
        Absence::Meant
    } else {
        Absence::Missing
    }
}

/// Stages every value of the plan, and adds to its report what does not fit.
pub(crate) fn stage(raw: &RawCheckpoint, places: &mut Places<'_>, plan: &mut LoadPlan) -> Staged {
    let mut staged = Staged {
        optimizers: places
            .optimizers
            .iter()
            .map(|optimizer| StagedOptimizer {
                steps: vec![None; optimizer.parameters],
                ..StagedOptimizer::default()
            })
            .collect(),
    };
    for (at, stored_name) in &plan.values {
        let Some(stored) = raw.index.values.get(stored_name) else {
            continue;
        };
        let item = &mut places.items[*at];
        let outcome = match &mut item.content {
            Content::Value(slot) => slot.stage(stored).map_err(|error| (MismatchKind::Type, error)),
            Content::Optimizer { optimizer, part, value } => staged.optimizers[*optimizer]
                .stage(&places.optimizers[*optimizer], *part, value, stored)
                .map_err(|error| (MismatchKind::Optimizer, error)),
            Content::Tensor(..) => Ok(()),
        };
        if let Err((kind, error)) = outcome {
            let name = item.scope.name.clone();
            plan.report.restored.retain(|restored| *restored != name);
            plan.report.mismatched.push(Mismatch {
                name,
                kind,
                found: stored.describe(),
                expected: expectation(&error),
                skipped: false,
            });
        }
    }
    for at in &plan.absent {
        let item = &mut places.items[*at];
        if let Content::Value(slot) = &mut item.content {
            slot.stage_absent();
            plan.report.restored.push(item.scope.name.clone());
        }
    }
    plan.report.sort();
    staged
}

/// What would have fitted, in serde's words or the optimizer's.
fn expectation(error: &ValueError) -> String {
    let message = error.to_string();
    let own = message.strip_prefix("expected ").map(|expected| {
        expected
            .split_once(", found ")
            .map_or(expected, |(expected, _)| expected)
    });
    let serde = || {
        let (_, expected) = message.strip_prefix("invalid type: ")?.rsplit_once(", expected ")?;
        // Two words of the CBOR library that a reader of this sentence cannot place.
        Some(match expected {
            "(big)int" => "an integer",
            "str" => "text",
            other => other,
        })
    };
    match own.or_else(serde) {
        Some(expected) => expected.to_owned(),
        None => format!("a value that fits ({message})"),
    }
}

impl StagedOptimizer {
    fn stage<O: AsState>(
        &mut self,
        optimizer: &NamedOptimizer<O>,
        part: OptimizerPart,
        own: &Value,
        stored: &Value,
    ) -> Result<(), ValueError> {
        self.touched = true;
        match part {
            OptimizerPart::Kind => {
                let kind: String = stored.decode()?;
                if kind != optimizer.kind {
                    let expected = optimizer.kind;
                    return Err(ValueError::new(format!(
                        "expected the state of an optimizer of kind `{expected}`"
                    )));
                }
            }
            OptimizerPart::Step(position) => self.steps[position] = Some(stored.decode()?),
            OptimizerPart::Groups => {
                let groups = groups(optimizer, own, stored)?;
                optimizer.handle.as_state().check(&groups)?;
                self.groups = Some(groups);
            }
        }
        Ok(())
    }
}

/// Reads PyTorch's `param_groups`, which must be as many as the optimizer's own and hold the same parameters.
fn groups<O>(optimizer: &NamedOptimizer<O>, own: &Value, stored: &Value) -> Result<Vec<ParamGroup>, ValueError> {
    let stored = stored.as_list().unwrap_or_default();
    if stored.len() != optimizer.groups.len() {
        return Err(ValueError::new(format!(
            "expected {} groups of parameters, the file has {}",
            optimizer.groups.len(),
            stored.len()
        )));
    }
    check_members(own, &stored)?;
    let group = |(group, own): (&Value, &ParamGroup)| {
        let entries = group
            .as_map()
            .ok_or_else(|| ValueError::new("expected a map for each group of parameters"))?;
        let options = entries.into_iter().filter(|(key, _)| key != "params").collect();
        Ok(ParamGroup {
            parameters: own.parameters.clone(),
            options,
        })
    };
    stored.iter().zip(&optimizer.groups).map(group).collect()
}

/// A parameter that changed groups would silently train with other hyper-parameters.
fn check_members(own: &Value, stored: &[Value]) -> Result<(), ValueError> {
    let members = |group: &Value| -> Vec<String> {
        let entries = group.as_map().unwrap_or_default().into_iter();
        let params = entries
            .filter(|(key, _)| key == "params")
            .find_map(|(_, names)| names.decode().ok());
        params.unwrap_or_default()
    };
    let stored: Vec<Vec<String>> = stored.iter().map(members).collect();
    for (at, own) in own.as_list().unwrap_or_default().iter().enumerate() {
        for name in members(own) {
            if let Some(other) = stored.iter().position(|group| group.contains(&name))
                && other != at
            {
                return Err(ValueError::new(format!(
                    "expected parameter `{name}` in group {at}, the file has it in group {other}; give the groups in the same order"
                )));
            }
        }
    }
    Ok(())
}

/// An optimizer handle that can be asked questions.
trait AsState {
    fn as_state(&self) -> &dyn OptimizerState;
}

impl AsState for &mut dyn OptimizerState {
    fn as_state(&self) -> &dyn OptimizerState {
        &**self
    }
}

impl Staged {
    /// Assigns everything that was staged; nothing can fail any more.
    pub(crate) fn commit(self, places: Places<'_>) {
        for item in places.items {
            if let Content::Value(mut slot) = item.content {
                slot.commit();
            }
        }
        for (staged, optimizer) in self.optimizers.into_iter().zip(places.optimizers) {
            if staged.touched {
                optimizer.handle.restore(staged.groups.as_deref(), &staged.steps);
            }
        }
    }
}
