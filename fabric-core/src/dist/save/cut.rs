//! How the tensors of a plan are cut over ranks, and which states ranks cannot save together.

use super::super::ranks::Ranks;
use super::super::shard::Local;
use crate::error::{Error, Result, StateError};
use crate::save::plan::{Reading, SavePlan};
use crate::state::Content;

/// How each tensor of a plan is cut, in the order of the plan.
///
/// # Errors
/// As [`Local::new`].
pub(super) fn locals(plan: &SavePlan, ranks: &Ranks) -> Result<Vec<Local>, StateError> {
    let local = |row: &crate::entry::Row<crate::save::contents::Live>| {
        Local::new(
            &row.name,
            row.whole.clone(),
            &row.bytes.shards,
            &ranks.strategy,
            &ranks.mesh,
        )
    };
    plan.tensors.iter().map(local).collect()
}

/// Refuses tensors below a field that `per_rank` marks: a tensor of its own for each rank has no place in the names of a checkpoint.
pub(super) fn check_per_rank(reading: &Reading<'_>) -> Result<()> {
    let tensor = |content: &Content<_>| !matches!(content, Content::Value(_));
    match reading.items.iter().find(|item| item.scope.per_rank && tensor(&item.content)) {
        None => Ok(()),
        Some(item) => Err(Error::State(StateError::Tensor {
            name: item.scope.name.clone(),
            what: "lies below a field marked `per_rank`, which is for values; split the tensor with `shard`, or keep it as a \
                   value, in a Vec"
                .to_owned(),
        })),
    }
}

/// Refuses names of one tensor in memory that are cut in two ways: the checkpoint holds the tensor once, and every name loads it.
pub(super) fn check_ties(plan: &SavePlan, locals: &[Local], ranks: &Ranks) -> Result<()> {
    for tie in &plan.ties {
        let held = &locals[tie.target];
        let name = tie.name.as_str().into();
        let tied = Local::cut(&name, held.info.clone(), &tie.shards, &ranks.strategy, &ranks.mesh)?;
        if tied.cuts != held.cuts {
            return Err(Error::State(StateError::Tensor {
                name: tie.name.clone(),
                what: format!(
                    "is tied to `{}`, and their attributes `shard` cut them in two ways, {} and {}; give both fields the same \
                     attributes",
                    held.name,
                    tied.describe(&ranks.mesh),
                    held.describe(&ranks.mesh),
                ),
            }));
        }
    }
    Ok(())
}
