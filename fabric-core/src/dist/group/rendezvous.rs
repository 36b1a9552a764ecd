//! The rendezvous of all ranks at one step, without clocks and connections: which ranks have arrived, which are
//! missing, and whether the group has failed.
//!
//! Every engine that collects the messages of all ranks itself carries out the rendezvous: threads under a lock, MPI at
//! the coordinator. These rules hold for all of them:
//!
//! - a step succeeds on every rank, or on none;
//! - a group that has failed once stays failed: every later step gives the same error at once. Ranks that disagree about
//!   which step comes next can never again be sure which message belongs to what.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::GroupError;

/// The call of a rank at a step; it must be equal on all ranks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) step: String,
    pub(super) operation: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operation {
    AllGather,
    Broadcast { root: usize },
    Barrier,
    Duplicate,
    Split,
}

impl Call {
    pub(super) fn new(step: &str, operation: Operation) -> Self {
        Self {
            step: step.to_owned(),
            operation,
        }
    }

    /// The text that tells this call from `other`: the step, and the operation if the steps are equal.
    fn told_from(&self, other: &Self) -> String {
        if self.step != other.step {
            return self.step.clone();
        }
        let operation = match self.operation {
            Operation::AllGather => "all_gather".to_owned(),
            Operation::Broadcast { root } => format!("broadcast from rank {root}"),
            Operation::Barrier => "barrier".to_owned(),
            Operation::Duplicate => "duplicate".to_owned(),
            Operation::Split => "split".to_owned(),
        };
        format!("{} ({operation})", self.step)
    }
}

/// The state of a group: the ranks that have arrived at the present step, and those that have left.
#[derive(Debug)]
pub(super) struct Rendezvous {
    round: u64,
    here: Vec<Option<Arrival>>,
    left: Vec<bool>,
    broken: Option<Failure>,
}

#[derive(Debug)]
struct Arrival {
    call: Call,
    bytes: Vec<u8>,
}

/// The error of a failed group, and the error of the one rank that caused it.
#[derive(Debug)]
struct Failure {
    error: GroupError,
    culprit: Option<(usize, GroupError)>,
}

/// A step at which all ranks have arrived, with the bytes of each.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CompletedStep {
    pub(super) round: u64,
    pub(super) call: Call,
    pub(super) bytes: Vec<Vec<u8>>,
}

impl Rendezvous {
    pub(super) fn new(world_size: usize) -> Self {
        Self {
            round: 0,
            here: (0..world_size).map(|_| None).collect(),
            left: vec![false; world_size],
            broken: None,
        }
    }

    /// The number of complete steps, which is the number of the next step.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// Rank `rank` arrives at a step. The last rank completes the step.
    pub(super) fn arrive(
        &mut self,
        rank: usize,
        call: Call,
        bytes: Vec<u8>,
    ) -> Result<Option<CompletedStep>, GroupError> {
        self.check(rank)?;
        let other = self.here.iter().flatten().next().map(|arrival| &arrival.call);
        if let Some(other) = other.filter(|other| **other != call) {
            self.broken = Some(self.out_of_step(rank, &call, other));
        }
        self.here[rank] = Some(Arrival { call, bytes });
        self.miss_those_who_left();
        self.check(rank)?;
        if self.here.iter().any(Option::is_none) {
            return Ok(None);
        }
        let arrivals: Vec<Arrival> = self.here.iter_mut().filter_map(Option::take).collect();
        let round = self.round;
        self.round += 1;
        let call = arrivals[rank].call.clone();
        let bytes = arrivals.into_iter().map(|arrival| arrival.bytes).collect();
        Ok(Some(CompletedStep { round, call, bytes }))
    }

    /// Rank `rank` leaves the group.
    pub(super) fn leave(&mut self, rank: usize) {
        self.left[rank] = true;
        self.miss_those_who_left();
    }

    /// Returns true if all ranks have left.
    #[cfg(feature = "mpi")]
    pub(super) fn is_deserted(&self) -> bool {
        self.left.iter().all(|left| *left)
    }

    /// Rank `rank` has waited for `after`, and stops waiting: the group fails.
    pub(super) fn give_up(&mut self, rank: usize, after: Duration) {
        let Some(arrival) = &self.here[rank] else { return };
        let missing = self.here.iter().enumerate();
        let error = GroupError::Timeout {
            step: arrival.call.step.clone(),
            missing: missing
                .filter(|(_, here)| here.is_none())
                .map(|(rank, _)| rank)
                .collect(),
            after,
        };
        self.fail(error);
    }

    /// Fails the group with an error of the engine.
    pub(super) fn fail(&mut self, error: GroupError) {
        self.broken.get_or_insert(Failure { error, culprit: None });
    }

    /// The error of rank `rank`, if the group has failed.
    pub(super) fn check(&self, rank: usize) -> Result<(), GroupError> {
        match &self.broken {
            None => Ok(()),
            Some(Failure {
                culprit: Some((culprit, error)),
                ..
            }) if *culprit == rank => Err(error.clone()),
            Some(Failure { error, .. }) => Err(error.clone()),
        }
    }

    fn out_of_step(&self, rank: usize, call: &Call, other: &Call) -> Failure {
        let first = self.here.iter().position(Option::is_some).unwrap_or_default();
        let (step, elsewhere) = (other.told_from(call), call.told_from(other));
        let seen_by_the_late = GroupError::OutOfStep {
            step: elsewhere.clone(),
            rank: first,
            other: step.clone(),
        };
        Failure {
            error: GroupError::OutOfStep {
                step,
                rank,
                other: elsewhere,
            },
            culprit: Some((rank, seen_by_the_late)),
        }
    }

    /// Fails the group if ranks wait at a step and a rank has left without arriving there.
    fn miss_those_who_left(&mut self) {
        let Some(waiting) = self.here.iter().flatten().next() else {
            return;
        };
        let ranks = 0..self.here.len();
        let left: Vec<usize> = ranks
            .filter(|&rank| self.left[rank] && self.here[rank].is_none())
            .collect();
        if !left.is_empty() {
            let step = waiting.call.step.clone();
            self.fail(GroupError::Left { step, left });
        }
    }
}

/// The ranks of each new group after a split, in the order of the new group.
///
/// Ranks of equal `colors` come together, ordered by `keys`, then by their number before.
pub(super) fn split(colors_and_keys: &[(u64, u64)]) -> Vec<Vec<usize>> {
    let mut ranks: Vec<usize> = (0..colors_and_keys.len()).collect();
    ranks.sort_by_key(|&rank| (colors_and_keys[rank], rank));
    let same_color = |a: &usize, b: &usize| colors_and_keys[*a].0 == colors_and_keys[*b].0;
    ranks.chunk_by(same_color).map(<[usize]>::to_vec).collect()
}

/// Color and key as the message of a rank at a split.
pub(super) fn encode_color(color: usize, key: usize) -> Vec<u8> {
    [color as u64, key as u64]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect()
}

/// Decodes the messages of [`encode_color`] of every rank; `None` if one is malformed.
pub(super) fn decode_colors(all: &[Vec<u8>]) -> Option<Vec<(u64, u64)>> {
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
    let decode = |bytes: &Vec<u8>| {
        let (color, key) = bytes.split_at_checked(8)?;
        Some((number(color)?, number(key)?))
    };
    all.iter().map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barrier(step: &str) -> Call {
        Call::new(step, Operation::Barrier)
    }

    #[test]
    fn the_last_rank_completes_a_step_and_the_next_one_begins() {
        let mut rendezvous = Rendezvous::new(2);
        assert_eq!(rendezvous.arrive(1, barrier("a"), vec![1]), Ok(None));
        let complete = rendezvous.arrive(0, barrier("a"), vec![0]).unwrap().unwrap();
        assert_eq!((complete.round, complete.bytes), (0, vec![vec![0], vec![1]]));
        assert_eq!(rendezvous.arrive(0, barrier("b"), vec![]), Ok(None));
        assert_eq!(rendezvous.round(), 1);
    }

    #[test]
    fn one_call_of_two_operations_is_out_of_step() {
        let mut rendezvous = Rendezvous::new(2);
        let broadcast = |root| Call::new("a", Operation::Broadcast { root });
        rendezvous.arrive(0, broadcast(0), vec![]).unwrap();
        let error = rendezvous.arrive(1, broadcast(1), vec![]).unwrap_err();
        let (mine, other) = ("a (broadcast from rank 1)", "a (broadcast from rank 0)");
        assert_eq!(
            error,
            GroupError::OutOfStep {
                step: mine.into(),
                rank: 0,
                other: other.into()
            }
        );
    }

    #[test]
    fn a_rank_that_left_is_missed_once_somebody_waits() {
        let mut rendezvous = Rendezvous::new(3);
        rendezvous.leave(2);
        assert_eq!(rendezvous.check(0), Ok(()));
        let left = Err(GroupError::Left {
            step: "a".into(),
            left: vec![2],
        });
        assert_eq!(rendezvous.arrive(0, barrier("a"), vec![]), left);
        // Every later call returns the same error.
        rendezvous.leave(0);
        rendezvous.give_up(1, Duration::ZERO);
        assert_eq!(rendezvous.arrive(1, barrier("b"), vec![]), left);
    }

    #[test]
    fn who_gives_up_names_all_who_are_missing() {
        let mut rendezvous = Rendezvous::new(4);
        rendezvous.give_up(0, Duration::ZERO);
        assert_eq!(rendezvous.check(0), Ok(()), "nobody waits");
        rendezvous.arrive(2, barrier("a"), vec![]).unwrap();
        rendezvous.arrive(0, barrier("a"), vec![]).unwrap();
        let after = Duration::from_secs(3);
        rendezvous.give_up(2, after);
        let timeout = Err(GroupError::Timeout {
            step: "a".into(),
            missing: vec![1, 3],
            after,
        });
        assert_eq!(rendezvous.check(0), timeout);
        assert_eq!(rendezvous.arrive(1, barrier("a"), vec![]), timeout.map(|()| None));
    }

    #[test]
    fn a_split_orders_by_key_and_then_by_rank() {
        let groups = split(&[(7, 1), (2, 0), (7, 0), (2, 0), (9, 5)]);
        assert_eq!(groups, [vec![1, 3], vec![2, 0], vec![4]]);
        assert!(split(&[]).is_empty());
    }

    #[test]
    fn colors_survive_the_way_and_other_bytes_are_refused() {
        let all = vec![encode_color(3, usize::MAX), encode_color(0, 1)];
        assert_eq!(decode_colors(&all), Some(vec![(3, u64::MAX), (0, 1)]));
        assert_eq!(decode_colors(&[vec![0; 15]]), None);
        assert_eq!(decode_colors(&[vec![]]), None);
    }
}
