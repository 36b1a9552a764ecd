//! Decodes all values before the load assigns any.

use super::classes::{self, OtherOptimizer};
use super::entries::{EntryTarget, StateEntry};
use super::groups;
use super::matching::LoadPlan;
use super::scalar::Scalars;
use crate::load::raw::RawCheckpoint;
use crate::report::{Mismatch, MismatchKind};
use crate::state::{NamedOptimizer, OptimizerPart, OptimizerState, ParamGroup};
use crate::value::{Value, ValueError};

/// The decoded state of the optimizers. The slots of plain values keep their decoded values themselves.
pub(super) struct Staged {
    optimizers: Vec<StagedOptimizer>,
}

#[derive(Clone, Default)]
struct StagedOptimizer {
    touched: bool,
    groups: Option<Vec<ParamGroup>>,
    steps: Vec<Option<u64>>,
    /// The options of a file's groups that the optimizer does not have.
    unknown: Option<String>,
}

/// Decodes every value of the plan, and adds the values that do not fit to its report. An optimizer that keeps its hyper-parameters
/// does not look at those of the file, nor at its groups.
pub(crate) fn stage(
    raw: &RawCheckpoint,
    scalars: &Scalars,
    (entries, optimizers): (&mut [StateEntry<'_>], &[NamedOptimizer<&mut dyn OptimizerState>]),
    keeps_hyperparameters: bool,
    plan: &mut LoadPlan<'_>,
) -> Staged {
    let mut staged = Staged {
        optimizers: optimizers
            .iter()
            .map(|optimizer| StagedOptimizer {
                steps: vec![None; optimizer.parameters.len()],
                ..StagedOptimizer::default()
            })
            .collect(),
    };
    for &(at, stored_name) in &plan.values {
        let stored = raw.index.values.get(stored_name);
        let readings = stored.map_or_else(
            || scalars.get(stored_name).map_or(&[][..], Vec::as_slice),
            std::slice::from_ref,
        );
        let entry = &mut entries[at];
        let mut stage = |stored: &Value| match &mut entry.held {
            EntryTarget::Value(slot) => slot
                .stage(stored)
                .map_err(|error| Refusal::of(MismatchKind::Type, &error)),
            EntryTarget::Optimizer { optimizer, part } => {
                let named = &optimizers[*optimizer];
                staged.optimizers[*optimizer].stage(named, *part, stored, keeps_hyperparameters)
            }
            EntryTarget::Tensor { .. } => Ok(()),
        };
        // If no reading fits, the error of the first and closest one is reported.
        let mut problem = None;
        let fits = readings.iter().any(|reading| {
            stage(reading)
                .map_err(|error| problem.get_or_insert(error).clone())
                .is_ok()
        });
        let is_kept = matches!(
            entry.held,
            EntryTarget::Optimizer {
                part: OptimizerPart::Groups,
                ..
            }
        ) && keeps_hyperparameters;
        if fits && is_kept {
            plan.report.restored.retain(|restored| restored != entry.name);
            plan.report.kept.push(entry.name.to_owned());
        }
        if !fits {
            let unreadable = || Refusal::of(MismatchKind::Type, &ValueError::new("expected a value"));
            let Refusal { kind, found, expected } = problem.unwrap_or_else(unreadable);
            let tensor = || Some(format!("a tensor, {}", raw.index.tensors.get(stored_name)?.info));
            let described = || stored.map(Value::describe).or_else(tensor).unwrap_or_default();
            let name = entry.name.to_owned();
            plan.report.restored.retain(|restored| *restored != name);
            plan.report.mismatched.push(Mismatch {
                name,
                kind,
                found: found.unwrap_or_else(described),
                expected,
                skipped: false,
            });
        }
    }
    for at in &plan.zero_init {
        if let EntryTarget::Optimizer {
            optimizer,
            part: OptimizerPart::Step(position),
        } = &entries[*at].held
        {
            let optimizer = &mut staged.optimizers[*optimizer];
            optimizer.touched = true;
            optimizer.steps[*position] = Some(0);
        }
    }
    for at in &plan.absent {
        let entry = &mut entries[*at];
        if let EntryTarget::Value(slot) = &mut entry.held {
            slot.stage_absent();
            plan.report.restored.push(entry.name.to_owned());
        }
    }
    for (staged, optimizer) in staged.optimizers.iter().zip(optimizers) {
        let groups = entries[optimizer.kind_item + 1].name;
        plan.report.assumed.extend(staged.unknown.as_ref().map(|options| {
            format!(
                "`{groups}` has the options {options}, which {} does not know: they change nothing",
                optimizer.kind
            )
        }));
    }
    plan.report.sort();
    staged
}

/// The reason why a value does not fit.
#[derive(Clone)]
struct Refusal {
    kind: MismatchKind,
    /// The found value, where its type does not explain the refusal.
    found: Option<String>,
    expected: String,
}

impl Refusal {
    fn of(kind: MismatchKind, error: &ValueError) -> Self {
        Self {
            kind,
            found: None,
            expected: expectation(error),
        }
    }

    fn optimizer(error: &ValueError) -> Self {
        Self::of(MismatchKind::Optimizer, error)
    }
}

impl From<OtherOptimizer> for Refusal {
    fn from(OtherOptimizer { found, expected }: OtherOptimizer) -> Self {
        Self {
            kind: MismatchKind::Optimizer,
            found: Some(found),
            expected,
        }
    }
}

/// The expected value, in the words of serde or of the optimizer.
fn expectation(error: &ValueError) -> String {
    let message = error.to_string();
    let own = message.strip_prefix("expected ").map(|expected| {
        expected
            .split_once(", found ")
            .map_or(expected, |(expected, _)| expected)
    });
    let serde = || {
        let (_, expected) = message.strip_prefix("invalid type: ")?.rsplit_once(", expected ")?;
        // The words of the CBOR library for these types would confuse the reader of the error.
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
        stored: &Value,
        keeps_hyperparameters: bool,
    ) -> Result<(), Refusal> {
        self.touched = true;
        let decoded = |error: ValueError| Refusal::optimizer(&error);
        match part {
            OptimizerPart::Kind => {
                let kind: String = stored.decode().map_err(decoded)?;
                if kind != optimizer.kind {
                    let expected = optimizer.kind;
                    return Err(Refusal::optimizer(&ValueError::new(format!(
                        "expected the state of an optimizer of kind `{expected}`; LoadOptions::new().change_optimizer() restores \
                         the state that both keep, and lets the rest begin anew"
                    ))));
                }
            }
            OptimizerPart::Step(position) => self.steps[position] = Some(stored.decode().map_err(decoded)?),
            OptimizerPart::Groups => {
                let groups = stored.as_list().unwrap_or_default();
                if optimizer.foreign {
                    classes::check(optimizer.kind, &groups)?;
                }
                if keeps_hyperparameters {
                    return groups::check_positions(optimizer, stored).map_err(decoded);
                }
                if optimizer.foreign {
                    self.unknown = classes::unknown(optimizer.kind, &groups, &optimizer.groups);
                }
                let groups = groups::read(optimizer, stored).map_err(decoded)?;
                optimizer.handle.as_state().check(&groups).map_err(decoded)?;
                self.groups = Some(groups);
            }
        }
        Ok(())
    }
}

/// An optimizer handle that gives its `OptimizerState`.
trait AsState {
    fn as_state(&self) -> &dyn OptimizerState;
}

impl AsState for &mut dyn OptimizerState {
    fn as_state(&self) -> &dyn OptimizerState {
        &**self
    }
}

impl Staged {
    /// Assigns all decoded values. This cannot fail.
    pub(crate) fn commit(
        self,
        entries: Vec<StateEntry<'_>>,
        optimizers: &mut [NamedOptimizer<&mut dyn OptimizerState>],
    ) {
        for entry in entries {
            if let EntryTarget::Value(slot) = entry.held {
                slot.commit();
            }
        }
        for (staged, optimizer) in self.optimizers.into_iter().zip(optimizers) {
            if staged.touched {
                optimizer.handle.restore(staged.groups.as_deref(), &staged.steps);
            }
        }
    }
}
