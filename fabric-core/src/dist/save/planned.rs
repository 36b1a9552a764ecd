//! One tensor of a save: as one rank plans it, and as all ranks have agreed on it. States that ranks cannot save
//! together are refused here.

use super::super::ranks::Ranks;
use super::super::shard::{GlobalTensor, LocalTensor};
use super::fingerprint::Fingerprint;
use crate::dist::mesh::Sharding;
use crate::entry::Row;
use crate::error::{Error, Result, StateError};
use crate::save::contents::LiveTensor;
use crate::save::plan::{ResolvedState, Tie};
use crate::state::Content;

/// A tensor of one rank's plan.
#[derive(Debug)]
pub(super) struct PlannedTensor {
    pub(super) row: Row<LiveTensor>,
    pub(super) local: LocalTensor,
    /// The default for a tensor without replicas.
    pub(super) fingerprint: Fingerprint,
}

/// A tensor that all ranks have agreed on.
#[derive(Debug)]
pub(super) struct AgreedTensor {
    pub(super) row: Row<LiveTensor>,
    /// The whole tensor, and the boxes that ranks hold of it.
    pub(super) global: GlobalTensor,
    /// The boxes that files hold, if they differ from those that ranks hold: only the first replica writes then.
    pub(super) stored: Option<Sharding>,
}

impl AgreedTensor {
    /// The boxes that files hold.
    pub(super) fn stored(&self) -> &Sharding {
        self.stored.as_ref().unwrap_or(&self.global.sharding)
    }
}

/// The tensors of a plan, with the dimensions along which each is sharded.
///
/// # Errors
/// As [`LocalTensor::new`].
pub(super) fn tensors(rows: Vec<Row<LiveTensor>>, ranks: &Ranks) -> Result<Vec<PlannedTensor>, StateError> {
    let planned = |row: Row<LiveTensor>| {
        let shards = &row.bytes.shards;
        let local = LocalTensor::new(&row.name, row.whole.clone(), shards, &ranks.strategy, &ranks.mesh)?;
        Ok(PlannedTensor {
            row,
            local,
            fingerprint: Fingerprint::default(),
        })
    };
    rows.into_iter().map(planned).collect()
}

/// Refuses a tensor below a field marked `per_rank`: the entry names of a checkpoint have room for one value of each
/// rank, and for no tensors.
pub(super) fn check_per_rank(state: &ResolvedState<'_>) -> Result<()> {
    let tensor = |content: &Content<_>| !matches!(content, Content::Value(_));
    match state.items.iter().find(|item| item.scope.per_rank && tensor(&item.content)) {
        None => Ok(()),
        Some(item) => Err(Error::State(StateError::Tensor {
            name: item.scope.name.clone(),
            what: "lies below a field marked `per_rank`, which is for values; split the tensor with `shard`, or keep it as a \
                   value, in a Vec"
                .to_owned(),
        })),
    }
}

/// Refuses two names of one tensor that are sharded in two ways: the checkpoint holds the tensor once, and both names
/// load it.
pub(super) fn check_ties(ties: &[Tie], tensors: &[PlannedTensor], ranks: &Ranks) -> Result<()> {
    for tie in ties {
        let held = &tensors[tie.target].local;
        let name = tie.name.as_str().into();
        let tied = LocalTensor::of_any_dtype(&name, held.info.clone(), &tie.shards, &ranks.strategy, &ranks.mesh)?;
        if tied.shard_dims != held.shard_dims {
            return Err(Error::State(StateError::Tensor {
                name: tie.name.clone(),
                what: format!(
                    "is tied to `{}`, and their attributes `shard` differ, {} and {}; give both fields the same \
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
