//! A load that ranks carry out together: each goes through the phases of a load, and the ranks meet after each phase.

mod parts;

use self::parts::Parts;
use super::ranks::Ranks;
use super::shares;
use crate::entry::of_rank;
use crate::error::Result;
use crate::load::loading::Loading;
use crate::load::own::OwnNames;
use crate::load::raw::RawCheckpoint;
use crate::load::{Loaded, Request, watched};
use crate::phases::{Phase, Phases};
use crate::source::read::PartialSums;
use crate::state::AnyStateMut;

/// Loads on all ranks: what one of them cannot load, none does.
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
            let parts = Parts::of(ranks, &loading)?;
            let said = parts.message(ranks, &loading);
            Ok(((loading, parts), said))
        })?;
        let agreed = parts.agree(ranks, &loading, &said)?;
        let mut accepted = ranks.together("load: match", || loading.find(&agreed.selections))?;
        let sums = PartialSums::default();
        let read = ranks.step("load: read", || {
            accepted.read(&sums)?;
            shares::settle_own(&sums, &agreed.replicas, accepted.source())?;
            Ok(((), shares::encode(&sums, &agreed.replicas)?))
        });
        let verified = read.and_then(|((), said)| {
            if said.iter().all(Vec::is_empty) {
                return Ok(());
            }
            let verify = || shares::settle(&sums, &agreed.replicas, accepted.source(), &said);
            ranks.together("load: verify", || phases.time(Phase::Verify, verify))
        });
        verified.map_err(|error| accepted.interrupted(error))?;
        Ok(accepted.commit())
    })
}

/// How the file calls a value that every rank has of its own. A value that one process saved by itself belongs to rank 0, and
/// has no number.
fn own_names(ranks: &Ranks, declared: &[String]) -> OwnNames {
    if ranks.alone() {
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
