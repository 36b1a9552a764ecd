//! A save that ranks carry out together: each decides by itself, all agree, each writes its rows, and rank 0 commits.

mod agree;
mod asking;
mod cut;
mod directory;
pub(crate) mod fingerprint;
pub(crate) mod generation;
mod one_file;
pub(crate) mod place;
pub(crate) mod rank_file;
mod replicas;
mod report;

use std::sync::Arc;

use candle_core::Tensor;

use self::replicas::Prints;
pub(crate) use self::report::{decode_report, encode_report};
use super::mesh::Split;
use super::ranks::Ranks;
use super::shard::{Global, Local};
use super::strategy::{Layout, Strategy};
use crate::absolute::Absolute;
use crate::error::Result;
use crate::format::manifest::StructRecord;
use crate::hash::HashMap;
use crate::options::{Durability, Replicas, SaveOptions};
use crate::phases::{Phase, Phases};
use crate::save::heading::{Origin, RankValue, outermost};
use crate::save::plan::{Reading, SavePlan, Wholes, plan, read};
use crate::save::{Decided, note_bytes, settle};
use crate::state::AnyState;

/// A save that one rank has planned, before it has heard of the others.
struct Prepared {
    plan: SavePlan,
    /// How the tensors of the plan are cut, in the order of the plan.
    locals: Vec<Local>,
    prints: Prints,
    replicas: Replicas,
    /// The outermost struct.
    state: StructRecord,
    durability: Durability,
}

/// What the ranks know of each other before anything is written.
struct Agreed {
    /// The whole of each local tensor.
    globals: Vec<Global>,
    /// How a file holds tensors that only the first of their replicas writes.
    of_first: HashMap<usize, Split>,
    /// Tensors without dimensions that differ, as the first replica has them.
    replaced: Vec<(usize, Tensor)>,
    /// The names of what differs between ranks, sorted.
    differing: Vec<String>,
    /// The values that each rank has its own of.
    per_rank: Vec<RankValue>,
}

/// Decides a save together with the other ranks. The ranks speak over the channel that `writing` gives while they write files. If
/// `before` fails on any rank, no rank saves.
pub(crate) fn decide(
    ranks: &Ranks,
    writing: impl FnOnce() -> Result<Arc<Ranks>>,
    phases: &Phases,
    absolute: &Absolute,
    state: &dyn AnyState,
    mut options: SaveOptions,
    before: impl FnOnce() -> Result<()>,
) -> Result<Decided> {
    let progress = options.progress.take();
    let mut planning = None;
    let read = || {
        absolute.path()?;
        before()?;
        // Not earlier: it may have waited for another save.
        planning = Some(phases.begin(Phase::Plan));
        Ok(read(state)?)
    };
    let (mut prepared, said) = asking::plan(ranks, absolute.given(), &outermost(state), options, read)?;
    let mut agreed = agree::agree(ranks, &prepared, absolute.given(), &said)?;
    for (at, right) in std::mem::take(&mut agreed.replaced) {
        prepared.plan.tensors[at].bytes.tensor = right;
    }
    let decide = match ranks.strategy.layout() {
        Layout::OneFile => one_file::decide,
        Layout::Directory => directory::decide,
    };
    let mut decided = decide(ranks, writing()?, prepared, agreed)?;
    decided.progress = progress;
    if let Some(planning) = &planning {
        note_bytes(planning, &decided.rows);
    }
    Ok(decided)
}

/// Plans the save of a state of which ranks hold parts. `wholes` are the whole tensors that filters ask about.
fn prepare(
    ranks: &Ranks,
    mut reading: Reading<'_>,
    options: SaveOptions,
    state: &StructRecord,
    wholes: &Wholes,
) -> Result<Prepared> {
    let (durability, replicas) = (options.durability, options.replicas);
    let mut plan = plan(&mut reading, options, wholes)?;
    let locals = cut::locals(&plan, ranks)?;
    settle(&plan.tensors)?;
    let prints = if ranks.alone() {
        plan.share_values();
        Prints::default()
    } else {
        cut::check_per_rank(&reading)?;
        cut::check_ties(&plan, &locals, ranks)?;
        Prints::of(&plan.tensors, &locals, &ranks.mesh, replicas == Replicas::Whole)?
    };
    Ok(Prepared {
        plan,
        locals,
        prints,
        replicas,
        state: state.clone(),
        durability,
    })
}

/// The strategy and the mesh as manifests record them.
pub(crate) fn origin(strategy: &Strategy, mesh: &super::mesh::Mesh) -> Origin {
    Origin {
        strategy: strategy.name().to_owned(),
        mesh: mesh.records(),
    }
}
