//! A load of several ranks: each rank goes through the phases of a load, and the ranks exchange messages after each
//! phase.

mod sharded_entries;

use self::sharded_entries::ShardedEntries;
use super::partial_crc;
use super::ranks::Ranks;
use crate::entry::of_rank;
use crate::error::Result;
use crate::load::loading::Loading;
use crate::load::own::OwnNames;
use crate::load::raw::RawCheckpoint;
use crate::load::{Loaded, Request, watched};
use crate::phases::{Phase, Phases};
use crate::source::read::PartialSums;
use crate::state::AnyStateMut;

/// Loads on all ranks: if one rank cannot load, no rank loads.
pub(crate) fn load(
    ranks: &Ranks,
    file: &RawCheckpoint,
    state: &mut dyn AnyStateMut,
    request: Request,
    phases: &Phases,
) -> Result<Loaded> {
    watched(request, phases, |request, watch| {
        let ((mut loading, parts), said) = ranks.step("load: plan", || {
            let loading = Loading::begin(file, state, request, watch, |declared| own_names(ranks, declared))?;
            let parts = ShardedEntries::of(ranks, &loading)?;
            let said = parts.message(ranks, &loading);
            Ok(((loading, parts), said))
        })?;
        let agreed = parts.agree(ranks, &loading, &said)?;
        let mut accepted = ranks.together("load: match", || loading.find(&agreed.selections))?;
        let sums = PartialSums::default();
        let read = ranks.step("load: read", || {
            accepted.read(&sums)?;
            partial_crc::verify_own(&sums, &agreed.replicas, accepted.source())?;
            Ok(((), partial_crc::encode(&sums, &agreed.replicas)?))
        });
        let verified = read.and_then(|((), said)| {
            if said.iter().all(Vec::is_empty) {
                return Ok(());
            }
            let verify = || partial_crc::verify(&sums, &agreed.replicas, accepted.source(), &said);
            ranks.together("load: verify", || phases.time(Phase::Verify, verify))
        });
        verified.map_err(|error| accepted.interrupted(error))?;
        Ok(accepted.commit())
    })
}

/// The names in the file of values marked `per_rank`. A value without a rank in its name, which one process saved,
/// belongs to rank 0.
fn own_names(ranks: &Ranks, declared: &[String]) -> OwnNames {
    if ranks.is_single() {
        return OwnNames::alone(declared);
    }
    let rank = ranks.rank();
    let mut here: Vec<String> = declared.iter().map(|name| of_rank(name, rank)).collect();
    if rank == 0 {
        here.extend_from_slice(declared);
    }
    let of_all = |name: &String| {
        let numbered: Vec<String> = (0..ranks.world_size()).map(|rank| of_rank(name, rank)).collect();
        numbered
    };
    let taken = declared.iter().flat_map(of_all).chain(declared.iter().cloned());
    OwnNames {
        here,
        taken: taken.collect(),
    }
}
