//! Ranks that are threads of one process.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::rendezvous::{Call, Operation, Rendezvous, decode_colors, encode_color, split};
use super::{GroupError, ProcessGroup};
use crate::io::pages;

/// One rank of a group whose ranks are threads of this process: for tests, and to drive several devices of a machine
/// from one process.
///
/// [`new`](Self::new) makes all handles at once; each thread takes one.
///
/// ```
/// use fabric_core::group::{ProcessGroup, ThreadGroup};
///
/// std::thread::scope(|scope| {
///     for group in ThreadGroup::new(3) {
///         scope.spawn(move || {
///             let ranks = group.all_gather("say hello", &[group.rank() as u8]).unwrap();
///             assert_eq!(ranks, [[0], [1], [2]]);
///         });
///     }
/// });
/// ```
///
/// A thread that ends or panics drops its handle, and the ranks that wait for it return [`GroupError::Left`] at once;
/// ranks at different steps return [`GroupError::OutOfStep`]. A rank that does not arrive is waited for until the
/// [`timeout`](Self::timeout) of the first rank that waits.
///
/// A step succeeds on all ranks, or on none. After a failed step the group stays failed: each later step returns the
/// same error at once, on the late rank too.
///
/// A handle takes one step at a time: threads that share a handle take turns.
pub struct ThreadGroup {
    members: Arc<ThreadMembers>,
    rank: usize,
    timeout: Duration,
    turn: Mutex<()>,
}

/// The state that the ranks of one group share.
struct ThreadMembers {
    world_size: usize,
    state: Mutex<StepState>,
    changed: Condvar,
}

struct StepState {
    rendezvous: Rendezvous,
    /// The last complete step, until every rank has collected its result. There is never an earlier one: the next step
    /// needs every rank to arrive again.
    finished: Option<Finished>,
}

struct Finished {
    round: u64,
    outcome: StepResult,
    to_collect: usize,
}

#[derive(Clone)]
struct StepResult {
    bytes: Arc<Vec<Vec<u8>>>,
    /// The new group and the new number of each rank, after a step that makes groups.
    places: Arc<Vec<(Arc<ThreadMembers>, usize)>>,
}

impl ThreadGroup {
    /// The default timeout of a step: half an hour, as that of PyTorch's gloo.
    pub const TIMEOUT: Duration = Duration::from_secs(30 * 60);

    /// A group of `world_size` ranks: one handle for each rank, in the order of ranks.
    #[must_use]
    pub fn new(world_size: usize) -> Vec<Self> {
        Self::with_timeout(world_size, Self::TIMEOUT)
    }

    /// A group of `world_size` ranks whose steps all have this timeout.
    #[must_use]
    pub fn with_timeout(world_size: usize, timeout: Duration) -> Vec<Self> {
        let members = Arc::new(ThreadMembers::new(world_size));
        let handle = |rank| Self::enter(Arc::clone(&members), rank, timeout);
        (0..world_size).map(handle).collect()
    }

    /// Sets the timeout of the steps of this rank; [`TIMEOUT`](Self::TIMEOUT) by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Splits the group: ranks with equal `color` form a new group, ordered by `key`, then by rank. All ranks take this
    /// step. The new group numbers its ranks from 0.
    ///
    /// # Errors
    /// As [`all_gather`](ProcessGroup::all_gather).
    pub fn split(&self, step: &str, color: usize, key: usize) -> Result<Self, GroupError> {
        self.regroup(Call::new(step, Operation::Split), encode_color(color, key))
    }

    fn enter(members: Arc<ThreadMembers>, rank: usize, timeout: Duration) -> Self {
        Self {
            members,
            rank,
            timeout,
            turn: Mutex::new(()),
        }
    }

    fn regroup(&self, call: Call, bytes: Vec<u8>) -> Result<Self, GroupError> {
        let outcome = self.step(call, bytes)?;
        let (members, rank) = &outcome.places[self.rank];
        Ok(Self::enter(Arc::clone(members), *rank, self.timeout))
    }

    /// A copy of a message. If there is no memory for it, the whole group fails.
    fn copied(&self, step: &str, bytes: &[u8]) -> Result<Vec<u8>, GroupError> {
        pages::copied(bytes).map_err(|error| {
            let error = GroupError::Engine {
                step: step.to_owned(),
                what: format!("rank {}: {error}", self.rank),
            };
            lock(&self.members.state).rendezvous.fail(error.clone());
            self.members.changed.notify_all();
            error
        })
    }

    /// Arrives at a step and waits for the other ranks.
    fn step(&self, call: Call, bytes: Vec<u8>) -> Result<StepResult, GroupError> {
        let _turn = lock(&self.turn);
        let began = Instant::now();
        let mut state = lock(&self.members.state);
        let round = state.rendezvous.round();
        let arrived = state.arrive(self.rank, call, bytes);
        if arrived.is_err() || state.rendezvous.round() > round {
            self.members.changed.notify_all();
        }
        arrived?;
        loop {
            if let Some(outcome) = state.collect(round) {
                return Ok(outcome);
            }
            state.rendezvous.check(self.rank)?;
            let remaining = self.timeout.saturating_sub(began.elapsed());
            if remaining.is_zero() {
                state.rendezvous.give_up(self.rank, self.timeout);
                self.members.changed.notify_all();
                continue;
            }
            let woken = self.members.changed.wait_timeout(state, remaining);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl ProcessGroup for ThreadGroup {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.members.world_size
    }

    fn all_gather(&self, step: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        let bytes = self.copied(step, bytes)?;
        let outcome = self.step(Call::new(step, Operation::AllGather), bytes)?;
        match Arc::try_unwrap(outcome.bytes) {
            Ok(bytes) => Ok(bytes),
            Err(shared) => shared.iter().map(|bytes| self.copied(step, bytes)).collect(),
        }
    }

    fn broadcast(&self, step: &str, root: usize, bytes: &[u8]) -> Result<Vec<u8>, GroupError> {
        let bytes = if root == self.rank { bytes } else { &[] };
        let bytes = self.copied(step, bytes)?;
        let outcome = self.step(Call::new(step, Operation::Broadcast { root }), bytes)?;
        let found = outcome.bytes.get(root).ok_or_else(|| GroupError::NoSuchRank {
            step: step.to_owned(),
            rank: root,
            world_size: self.world_size(),
        })?;
        self.copied(step, found)
    }

    fn barrier(&self, step: &str) -> Result<(), GroupError> {
        self.step(Call::new(step, Operation::Barrier), Vec::new()).map(drop)
    }

    fn duplicate(&self) -> Result<Box<dyn ProcessGroup>, GroupError> {
        let group = self.regroup(Call::new("duplicate the group", Operation::Duplicate), Vec::new())?;
        Ok(Box::new(group))
    }
}

impl Drop for ThreadGroup {
    fn drop(&mut self) {
        lock(&self.members.state).rendezvous.leave(self.rank);
        self.members.changed.notify_all();
    }
}

impl fmt::Debug for ThreadGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ThreadGroup")
            .field("rank", &self.rank)
            .field("world_size", &self.members.world_size)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl ThreadMembers {
    fn new(world_size: usize) -> Self {
        let rendezvous = Rendezvous::new(world_size);
        Self {
            world_size,
            state: Mutex::new(StepState {
                rendezvous,
                finished: None,
            }),
            changed: Condvar::new(),
        }
    }
}

impl StepState {
    fn arrive(&mut self, rank: usize, call: Call, bytes: Vec<u8>) -> Result<(), GroupError> {
        if let Some(complete) = self.rendezvous.arrive(rank, call, bytes)? {
            let to_collect = complete.bytes.len();
            let places = match complete.call.operation {
                Operation::Duplicate => places(&[(0..to_collect).collect()], to_collect),
                Operation::Split => places(&split(&decode_colors(&complete.bytes).unwrap_or_default()), to_collect),
                _ => Vec::new(),
            };
            self.finished = Some(Finished {
                round: complete.round,
                outcome: StepResult {
                    bytes: Arc::new(complete.bytes),
                    places: Arc::new(places),
                },
                to_collect,
            });
        }
        Ok(())
    }

    /// The result of a step for one rank, if the step is complete. The last rank takes the result away.
    fn collect(&mut self, round: u64) -> Option<StepResult> {
        let finished = self.finished.as_mut().filter(|finished| finished.round == round)?;
        finished.to_collect -= 1;
        if finished.to_collect > 0 {
            return Some(finished.outcome.clone());
        }
        self.finished.take().map(|finished| finished.outcome)
    }
}

/// The new group of each of `world_size` ranks, and its number there.
fn places(groups: &[Vec<usize>], world_size: usize) -> Vec<(Arc<ThreadMembers>, usize)> {
    let mut places: Vec<(usize, (Arc<ThreadMembers>, usize))> = Vec::with_capacity(world_size);
    for group in groups {
        let members = Arc::new(ThreadMembers::new(group.len()));
        let place = |(rank, &before): (usize, &usize)| (before, (Arc::clone(&members), rank));
        places.extend(group.iter().enumerate().map(place));
    }
    places.sort_by_key(|(before, _)| *before);
    places.into_iter().map(|(_, place)| place).collect()
}

/// Ignores the poison of a mutex: no thread holds one of these locks while it runs code that may panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
