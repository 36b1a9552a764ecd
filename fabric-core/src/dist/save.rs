//! A save of several ranks: each rank plans its own save, all ranks agree, each rank writes its rows, and rank 0
//! commits.

mod agree;
mod directory;
pub(crate) mod fingerprint;
pub(crate) mod generation;
mod one_file;
mod plan;
mod planned;
pub(crate) mod rank_file;
mod replicas;
mod report;
mod shape_queries;
pub(crate) mod shard_dir;

use std::sync::Arc;

use self::agree::agree;
use self::planned::{AgreedTensor, PlannedTensor};
use self::replicas::ReplicaGroups;
pub(crate) use self::report::{decode_report, encode_report};
use super::ranks::Ranks;
use super::strategy::Layout;
use crate::absolute::Absolute;
use crate::error::Result;
use crate::options::{After, Durability, Replicas, SaveOptions};
use crate::phases::{Phase, Phases};
use crate::save::manifest::RankValue;
use crate::save::plan::{ResolvedState, SavePlan, WholeShapes, list_entries};
use crate::save::{Decided, SaveReport, followed_by, note_bytes, synchronize_devices};
use crate::state::AnyState;

/// The save of one rank, before it has exchanged messages with the other ranks.
struct Prepared {
    /// The plan without its tensors.
    plan: SavePlan,
    /// The tensors of the plan, in the order of their bytes in a file.
    tensors: Vec<PlannedTensor>,
    groups: ReplicaGroups,
    replicas: Replicas,
    report: SaveReport,
    durability: Durability,
}

/// The save of one rank, after all ranks have agreed on it.
struct Agreed {
    /// The plan without its tensors.
    plan: SavePlan,
    /// The tensors of the plan, in the order of their bytes in a file.
    tensors: Vec<AgreedTensor>,
    /// The values of fields marked `per_rank`, of all ranks.
    per_rank: Vec<RankValue>,
    report: SaveReport,
    durability: Durability,
}

/// Decides a save together with the other ranks. While the ranks write files, they exchange messages over the channel
/// that `writing` gives. If `before` fails on any rank, no rank saves.
pub(crate) fn decide(
    ranks: &Ranks,
    writing: impl FnOnce() -> Result<Arc<Ranks>>,
    phases: &Phases,
    absolute: &Absolute,
    state: &dyn AnyState,
    mut options: SaveOptions,
    before: impl FnOnce() -> Result<()>,
) -> Result<Decided> {
    let (progress, after) = (options.progress.take(), options.after.take());
    let mut planning = None;
    let resolve = || {
        absolute.path()?;
        before()?;
        // The phase begins here, because `before` may have waited for another save.
        planning = Some(phases.begin(Phase::Plan));
        Ok(list_entries(state)?)
    };
    let agreed = if ranks.is_single() {
        let prepared = prepare(ranks, resolve()?, options, &WholeShapes::default())?;
        agree::of_one_rank(ranks, prepared)?
    } else {
        let (prepared, said) = plan::plan(ranks, absolute.given(), options, resolve)?;
        agree(ranks, prepared, absolute.given(), &said)?
    };
    let decide = match ranks.strategy.layout() {
        Layout::OneFile => one_file::decide,
        Layout::Directory => directory::decide,
    };
    let writing = writing()?;
    let mut decided = decide(ranks, writing.clone(), agreed);
    decided.progress = progress;
    let after = after.map(|After(after)| move || writing.together("save: after", || after()));
    decided.commit = followed_by(decided.commit, after);
    if let Some(planning) = &planning {
        note_bytes(planning, &decided.rows);
    }
    Ok(decided)
}

/// Plans the save of a state of which ranks hold parts. `wholes` has the shapes of the whole tensors that filters ask
/// about.
fn prepare(
    ranks: &Ranks,
    mut state: ResolvedState<'_>,
    options: SaveOptions,
    wholes: &WholeShapes,
) -> Result<Prepared> {
    let (durability, replicas) = (options.durability, options.replicas);
    let mut plan = crate::save::plan::plan(&mut state, options, wholes)?;
    let report = plan.report();
    let rows = std::mem::take(&mut plan.tensors);
    let mut tensors = planned::tensors(rows, ranks)?;
    synchronize_devices(tensors.iter().map(|tensor| &tensor.row))?;
    let groups = if ranks.is_single() {
        plan.share_values();
        ReplicaGroups::default()
    } else {
        planned::check_per_rank(&state)?;
        planned::check_ties(&plan.ties, &tensors, ranks)?;
        ReplicaGroups::fingerprint(&mut tensors, &ranks.mesh, replicas == Replicas::Whole)?
    };
    Ok(Prepared {
        plan,
        tensors,
        groups,
        replicas,
        report,
        durability,
    })
}
