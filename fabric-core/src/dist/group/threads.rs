//! Ranks that are threads of one process.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::meeting::{Call, Meeting, Operation, decode_colors, encode_color, split};
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
/// A thread that ends or panics drops its handle, and the ranks that wait for it are told at once
/// ([`GroupError::Left`]); so are ranks at different steps ([`GroupError::OutOfStep`]). A rank that merely does not come
/// is waited for until the [`timeout`](Self::timeout) of the first that waits.
///
/// A step succeeds on all ranks, or on none. After a step that failed, the group stays failed: each later step returns
/// the same error at once, on the late rank too.
///
/// A handle does one step at a time: threads that share one take turns.
pub struct ThreadGroup {
    room: Arc<Room>,
    rank: usize,
    timeout: Duration,
    turn: Mutex<()>,
}

/// What the ranks of one group share.
struct Room {
    world_size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    meeting: Meeting,
    /// The last complete step, until all have what they came for. There is never another one before: that would need
    /// every rank to come again.
    finished: Option<Finished>,
}

struct Finished {
    round: u64,
    outcome: Outcome,
    to_collect: usize,
}

#[derive(Clone)]
struct Outcome {
    bytes: Arc<Vec<Vec<u8>>>,
    /// Where each rank goes on, and as which rank there, after a step that makes groups.
    rooms: Arc<Vec<(Arc<Room>, usize)>>,
}

impl ThreadGroup {
    /// How long a step waits if nothing else is said: half an hour, as PyTorch's gloo.
    pub const TIMEOUT: Duration = Duration::from_secs(30 * 60);

    /// A group of `world_size` ranks, in order; for none, no handle.
    #[must_use]
    pub fn new(world_size: usize) -> Vec<Self> {
        Self::with_timeout(world_size, Self::TIMEOUT)
    }

    /// The same with a timeout for all.
    #[must_use]
    pub fn with_timeout(world_size: usize, timeout: Duration) -> Vec<Self> {
        let room = Arc::new(Room::new(world_size));
        let handle = |rank| Self::enter(Arc::clone(&room), rank, timeout);
        (0..world_size).map(handle).collect()
    }

    /// Sets how long a step of this rank waits for the others; [`TIMEOUT`](Self::TIMEOUT) at first.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Smaller groups: the ranks with equal `color` come together, ordered by `key`, then by rank. A step that all ranks
    /// take; errors of the new group number its ranks anew, from 0.
    ///
    /// # Errors
    /// As [`all_gather`](ProcessGroup::all_gather).
    pub fn split(&self, step: &str, color: usize, key: usize) -> Result<Self, GroupError> {
        self.regroup(Call::new(step, Operation::Split), encode_color(color, key))
    }

    fn enter(room: Arc<Room>, rank: usize, timeout: Duration) -> Self {
        Self {
            room,
            rank,
            timeout,
            turn: Mutex::new(()),
        }
    }

    fn regroup(&self, call: Call, bytes: Vec<u8>) -> Result<Self, GroupError> {
        let outcome = self.meet(call, bytes)?;
        let (room, rank) = &outcome.rooms[self.rank];
        Ok(Self::enter(Arc::clone(room), *rank, self.timeout))
    }

    /// A message in memory of its own. Without the memory, this rank cannot go on with the others, and all are told.
    fn copied(&self, step: &str, bytes: &[u8]) -> Result<Vec<u8>, GroupError> {
        pages::copied(bytes).map_err(|error| {
            let error = GroupError::Engine {
                step: step.to_owned(),
                what: format!("rank {}: {error}", self.rank),
            };
            lock(&self.room.state).meeting.fail(error.clone());
            self.room.changed.notify_all();
            error
        })
    }

    /// Comes to a step and waits for the others.
    fn meet(&self, call: Call, bytes: Vec<u8>) -> Result<Outcome, GroupError> {
        let _turn = lock(&self.turn);
        let began = Instant::now();
        let mut state = lock(&self.room.state);
        let round = state.meeting.round();
        let arrived = state.arrive(self.rank, call, bytes);
        if arrived.is_err() || state.meeting.round() > round {
            self.room.changed.notify_all();
        }
        arrived?;
        loop {
            if let Some(outcome) = state.collect(round) {
                return Ok(outcome);
            }
            state.meeting.check(self.rank)?;
            let remaining = self.timeout.saturating_sub(began.elapsed());
            if remaining.is_zero() {
                state.meeting.give_up(self.rank, self.timeout);
                self.room.changed.notify_all();
                continue;
            }
            let woken = self.room.changed.wait_timeout(state, remaining);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl ProcessGroup for ThreadGroup {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.room.world_size
    }

    fn all_gather(&self, step: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        let bytes = self.copied(step, bytes)?;
        let outcome = self.meet(Call::new(step, Operation::AllGather), bytes)?;
        match Arc::try_unwrap(outcome.bytes) {
            Ok(bytes) => Ok(bytes),
            Err(shared) => shared.iter().map(|bytes| self.copied(step, bytes)).collect(),
        }
    }

    fn broadcast(&self, step: &str, root: usize, bytes: &[u8]) -> Result<Vec<u8>, GroupError> {
        let bytes = if root == self.rank { bytes } else { &[] };
        let bytes = self.copied(step, bytes)?;
        let outcome = self.meet(Call::new(step, Operation::Broadcast { root }), bytes)?;
        let found = outcome.bytes.get(root).ok_or_else(|| GroupError::NoSuchRank {
            step: step.to_owned(),
            rank: root,
            world_size: self.world_size(),
        })?;
        self.copied(step, found)
    }

    fn barrier(&self, step: &str) -> Result<(), GroupError> {
        self.meet(Call::new(step, Operation::Barrier), Vec::new()).map(drop)
    }

    fn duplicate(&self) -> Result<Box<dyn ProcessGroup>, GroupError> {
        let group = self.regroup(Call::new("duplicate the group", Operation::Duplicate), Vec::new())?;
        Ok(Box::new(group))
    }
}

impl Drop for ThreadGroup {
    fn drop(&mut self) {
        lock(&self.room.state).meeting.leave(self.rank);
        self.room.changed.notify_all();
    }
}

impl fmt::Debug for ThreadGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ThreadGroup")
            .field("rank", &self.rank)
            .field("world_size", &self.room.world_size)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Room {
    fn new(world_size: usize) -> Self {
        let meeting = Meeting::new(world_size);
        Self {
            world_size,
            state: Mutex::new(State {
                meeting,
                finished: None,
            }),
            changed: Condvar::new(),
        }
    }
}

impl State {
    fn arrive(&mut self, rank: usize, call: Call, bytes: Vec<u8>) -> Result<(), GroupError> {
        if let Some(complete) = self.meeting.arrive(rank, call, bytes)? {
            let to_collect = complete.bytes.len();
            let rooms = match complete.call.operation {
                Operation::Duplicate => rooms(&[(0..to_collect).collect()], to_collect),
                Operation::Split => rooms(&split(&decode_colors(&complete.bytes).unwrap_or_default()), to_collect),
                _ => Vec::new(),
            };
            self.finished = Some(Finished {
                round: complete.round,
                outcome: Outcome {
                    bytes: Arc::new(complete.bytes),
                    rooms: Arc::new(rooms),
                },
                to_collect,
            });
        }
        Ok(())
    }

    /// What a rank came for, if the step is complete. The last one takes it away.
    fn collect(&mut self, round: u64) -> Option<Outcome> {
        let finished = self.finished.as_mut().filter(|finished| finished.round == round)?;
        finished.to_collect -= 1;
        if finished.to_collect > 0 {
            return Some(finished.outcome.clone());
        }
        self.finished.take().map(|finished| finished.outcome)
    }
}

/// For each of `world_size` ranks the room of the one of `groups` that it is in, and its number there.
fn rooms(groups: &[Vec<usize>], world_size: usize) -> Vec<(Arc<Room>, usize)> {
    let mut places: Vec<(usize, (Arc<Room>, usize))> = Vec::with_capacity(world_size);
    for group in groups {
        let room = Arc::new(Room::new(group.len()));
        let place = |(rank, &before): (usize, &usize)| (before, (Arc::clone(&room), rank));
        places.extend(group.iter().enumerate().map(place));
    }
    places.sort_by_key(|(before, _)| *before);
    places.into_iter().map(|(_, place)| place).collect()
}

/// A thread that panics leaves nothing half done: it holds no lock while it runs code of others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
