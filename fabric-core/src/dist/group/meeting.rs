//! One step of all ranks, without clocks or wires: who is here, who is missing, and what that means.
//!
//! Every engine that brings ranks together itself carries this out in its own way: threads under a lock, messages at the
//! rank where they meet. What holds for all of them is decided here:
//!
//! - a step succeeds on every rank, or on none;
//! - a group that has failed once stays failed: every later step gives the same error at once. Ranks that disagree about
//!   which step comes next can never again be sure which message belongs to what.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::GroupError;

/// What a rank calls: it must be the same on all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) step: String,
    pub(crate) operation: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    AllGather,
    Broadcast { root: usize },
    Barrier,
    Duplicate,
    Split,
}

impl Call {
    pub(crate) fn new(step: &str, operation: Operation) -> Self {
        Self {
            step: step.to_owned(),
            operation,
        }
    }

    /// How this call is told from `other`: by the step, or if that is the same, by the operation too.
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

/// The ranks of a group, between two steps or at one.
#[derive(Debug)]
pub(crate) struct Meeting {
    round: u64,
    here: Vec<Option<Arrival>>,
    left: Vec<bool>,
    broken: Option<Break>,
}

#[derive(Debug)]
struct Arrival {
    call: Call,
    bytes: Vec<u8>,
}

/// Why a group has failed: what its ranks are told, and what one of them is told instead.
#[derive(Debug)]
struct Break {
    error: GroupError,
    culprit: Option<(usize, GroupError)>,
}

/// A step that all have come to: what each brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complete {
    pub(crate) round: u64,
    pub(crate) call: Call,
    pub(crate) bytes: Vec<Vec<u8>>,
}

impl Meeting {
    pub(crate) fn new(world_size: usize) -> Self {
        Self {
            round: 0,
            here: (0..world_size).map(|_| None).collect(),
            left: vec![false; world_size],
            broken: None,
        }
    }

    /// The number of steps that are complete: the number of the one that comes next.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Rank `rank` comes to a step. The last one completes it.
    pub(crate) fn arrive(&mut self, rank: usize, call: Call, bytes: Vec<u8>) -> Result<Option<Complete>, GroupError> {
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
        Ok(Some(Complete { round, call, bytes }))
    }

    /// Rank `rank` will not come any more.
    pub(crate) fn leave(&mut self, rank: usize) {
        self.left[rank] = true;
        self.miss_those_who_left();
    }

    /// Whether all ranks have left.
    #[cfg(feature = "mpi")]
    pub(crate) fn is_deserted(&self) -> bool {
        self.left.iter().all(|left| *left)
    }

    /// Rank `rank` has waited for `after`, and waits no longer.
    pub(crate) fn give_up(&mut self, rank: usize, after: Duration) {
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

    /// Nothing works from here on, for a reason that the engine has.
    pub(crate) fn fail(&mut self, error: GroupError) {
        self.broken.get_or_insert(Break { error, culprit: None });
    }

    /// The error that rank `rank` is to be told, if the group has failed.
    pub(crate) fn check(&self, rank: usize) -> Result<(), GroupError> {
        match &self.broken {
            None => Ok(()),
            Some(Break {
                culprit: Some((culprit, error)),
                ..
            }) if *culprit == rank => Err(error.clone()),
            Some(Break { error, .. }) => Err(error.clone()),
        }
    }

    fn out_of_step(&self, rank: usize, call: &Call, other: &Call) -> Break {
        let first = self.here.iter().position(Option::is_some).unwrap_or_default();
        let (step, elsewhere) = (other.told_from(call), call.told_from(other));
        let seen_by_the_late = GroupError::OutOfStep {
            step: elsewhere.clone(),
            rank: first,
            other: step.clone(),
        };
        Break {
            error: GroupError::OutOfStep {
                step,
                rank,
                other: elsewhere,
            },
            culprit: Some((rank, seen_by_the_late)),
        }
    }

    /// Who has left is missed only where others wait, and only if it had not come before.
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

/// Who is with whom after a split: the ranks of each new group, in its own order.
///
/// Ranks of equal `colors` come together, ordered by `keys`, then by their number before.
pub(crate) fn split(colors_and_keys: &[(u64, u64)]) -> Vec<Vec<usize>> {
    let mut ranks: Vec<usize> = (0..colors_and_keys.len()).collect();
    ranks.sort_by_key(|&rank| (colors_and_keys[rank], rank));
    let same_color = |a: &usize, b: &usize| colors_and_keys[*a].0 == colors_and_keys[*b].0;
    ranks.chunk_by(same_color).map(<[usize]>::to_vec).collect()
}

/// Color and key as the bytes that a rank brings to a split.
pub(crate) fn encode_color(color: usize, key: usize) -> Vec<u8> {
    [color as u64, key as u64]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect()
}

/// What [`encode_color`] wrote, for every rank; nothing if it was something else.
pub(crate) fn decode_colors(all: &[Vec<u8>]) -> Option<Vec<(u64, u64)>> {
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
        let mut meeting = Meeting::new(2);
        assert_eq!(meeting.arrive(1, barrier("a"), vec![1]), Ok(None));
        let complete = meeting.arrive(0, barrier("a"), vec![0]).unwrap().unwrap();
        assert_eq!((complete.round, complete.bytes), (0, vec![vec![0], vec![1]]));
        assert_eq!(meeting.arrive(0, barrier("b"), vec![]), Ok(None));
        assert_eq!(meeting.round(), 1);
    }

    #[test]
    fn one_call_of_two_operations_is_out_of_step() {
        let mut meeting = Meeting::new(2);
        let broadcast = |root| Call::new("a", Operation::Broadcast { root });
        meeting.arrive(0, broadcast(0), vec![]).unwrap();
        let error = meeting.arrive(1, broadcast(1), vec![]).unwrap_err();
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
        let mut meeting = Meeting::new(3);
        meeting.leave(2);
        assert_eq!(meeting.check(0), Ok(()));
        let left = Err(GroupError::Left {
            step: "a".into(),
            left: vec![2],
        });
        assert_eq!(meeting.arrive(0, barrier("a"), vec![]), left);
        // And everybody hears the same from then on, whatever else happens.
        meeting.leave(0);
        meeting.give_up(1, Duration::ZERO);
        assert_eq!(meeting.arrive(1, barrier("b"), vec![]), left);
    }

    #[test]
    fn who_gives_up_names_all_who_are_missing() {
        let mut meeting = Meeting::new(4);
        meeting.give_up(0, Duration::ZERO);
        assert_eq!(meeting.check(0), Ok(()), "nobody waits");
        meeting.arrive(2, barrier("a"), vec![]).unwrap();
        meeting.arrive(0, barrier("a"), vec![]).unwrap();
        let after = Duration::from_secs(3);
        meeting.give_up(2, after);
        let timeout = Err(GroupError::Timeout {
            step: "a".into(),
            missing: vec![1, 3],
            after,
        });
        assert_eq!(meeting.check(0), timeout);
        assert_eq!(meeting.arrive(1, barrier("a"), vec![]), timeout.map(|()| None));
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
