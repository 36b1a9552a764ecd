//! Ranks that are processes of an MPI job.
//!
//! One thread of the process calls MPI: the [`worker`]. So a handle is `Send` and `Sync`, and a rank whose program is
//! busy elsewhere still answers messages. The first rank of a group is its coordinator: it collects the messages of all
//! ranks, and finds out which ranks are missing, even if it is missing itself.

mod coordinator;
mod message;
mod sending;
mod worker;

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use self::message::{GroupId, Seat};
use self::worker::{Command, MpiWorker, StepReply, WorldInfo};
use super::rendezvous::{Call, Operation, encode_color};
use super::{GroupError, ProcessGroup};
use crate::io::pages;

/// One rank of a group whose ranks are the processes of an MPI job. With the feature `mpi`.
///
/// ```no_run
/// use fabric_core::group::{MpiGroup, ProcessGroup};
///
/// # fn main() -> Result<(), fabric_core::group::GroupError> {
/// let world = MpiGroup::world()?; // started by: mpirun -n 4 program
/// println!("rank {} of {}", world.rank(), world.world_size());
/// world.barrier("begin")?;
/// # Ok(())
/// # }
/// ```
///
/// A program that uses MPI itself starts it with `Threading::Multiple` before it calls [`world`](Self::world), and
/// keeps its `Universe` until the last handle is dropped. Otherwise `world` starts MPI, and dropping the last handle
/// ends it.
///
/// The rules of [`ThreadGroup`](super::ThreadGroup) hold: a step succeeds on all ranks or on none, a failed group stays
/// failed, ranks that wait for a dropped handle or are at different steps return an error at once, and threads that
/// share a handle take turns. If a *process* dies, `mpirun` ends the others.
///
/// # The end
/// MPI ends when all processes end it, so dropping the last handle of a process waits until the other processes drop
/// theirs: for the timeout, or for ten seconds after a failed step. If a process does not end MPI by then, this process
/// exits without it, and `mpirun` ends the job. A program that calls `process::exit` drops no handle, and ends in this
/// way too.
pub struct MpiGroup {
    engine: Arc<Engine>,
    seat: Seat,
    timeout: Duration,
    turn: Mutex<()>,
    failed: OnceLock<GroupError>,
}

/// The connection to the thread that calls MPI.
struct Engine {
    commands: Sender<Command>,
    ended: Mutex<Receiver<()>>,
    /// The time that the end of MPI waits for the other processes.
    farewell: Mutex<Duration>,
    world_info: WorldInfo,
}

/// The engine of this process: MPI starts once.
static LIVING: Mutex<Living> = Mutex::new(Living {
    engine: Weak::new(),
    ends_mpi: false,
    groups: 0,
});

struct Living {
    engine: Weak<Engine>,
    /// True if MPI ends in this process with the engine.
    ends_mpi: bool,
    /// The number of calls of `world`: every rank makes as many calls, so the number names the group on every rank.
    groups: u64,
}

/// The time beyond its timeout that a rank waits for the coordinator, and the time that the end of a process waits
/// after a failure.
const GRACE: Duration = Duration::from_secs(10);

impl MpiGroup {
    /// The default timeout of a step: half an hour, as that of PyTorch's gloo.
    pub const TIMEOUT: Duration = Duration::from_secs(30 * 60);

    /// The group of all processes of the job. All processes take this step, and equally often.
    ///
    /// # Errors
    /// If MPI has ended in this process, or was started without `Threading::Multiple`; or if the others do not come.
    pub fn world() -> Result<Self, GroupError> {
        let mut living = lock(&LIVING);
        let engine = match living.engine.upgrade() {
            Some(engine) => engine,
            None if living.ends_mpi => return Err(starting("MPI has ended in this process, and does not start twice")),
            None => {
                let engine = Arc::new(Engine::start()?);
                living.engine = Arc::downgrade(&engine);
                living.ends_mpi = engine.world_info.starts_mpi;
                engine
            }
        };
        let seat = Seat {
            group: GroupId::world(living.groups),
            members: (0..engine.world_info.world_size).collect(),
            rank: engine.world_info.rank,
        };
        living.groups += 1;
        let entered = engine.commands.send(Command::Enter(seat.clone()));
        entered.map_err(|_| starting(ENDED))?;
        Ok(Self::new(engine, seat, Self::TIMEOUT))
    }

    /// Sets the timeout of the steps of this rank, and of the groups that are made of this one;
    /// [`TIMEOUT`](Self::TIMEOUT) by default.
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

    fn new(engine: Arc<Engine>, seat: Seat, timeout: Duration) -> Self {
        Self {
            engine,
            seat,
            timeout,
            turn: Mutex::new(()),
            failed: OnceLock::new(),
        }
    }

    fn regroup(&self, call: Call, bytes: Vec<u8>) -> Result<Self, GroupError> {
        let step = call.step.clone();
        match self.step(call, bytes)?.seat {
            Some(seat) => Ok(Self::new(Arc::clone(&self.engine), seat, self.timeout)),
            None => Err(engine(&step, "the new group did not arrive")),
        }
    }

    /// Arrives at a step and waits for the other ranks.
    fn step(&self, call: Call, bytes: Vec<u8>) -> Result<StepReply, GroupError> {
        let _turn = lock(&self.turn);
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let met = self.await_step(call, bytes);
        if let Err(error) = &met {
            self.failed.get_or_init(|| error.clone());
        }
        met
    }

    /// A copy of a message. If there is no memory for it, the whole group fails.
    fn copied(&self, step: &str, bytes: &[u8]) -> Result<Vec<u8>, GroupError> {
        pages::copied(bytes).map_err(|error| {
            let error = engine(step, &format!("rank {}: {error}", self.seat.rank));
            let error = self.failed.get_or_init(|| error).clone();
            // If the thread that calls MPI has ended, no group needs the message.
            let _ = self.engine.commands.send(Command::Fail {
                group: self.seat.group,
                error: error.clone(),
            });
            error
        })
    }

    fn await_step(&self, call: Call, bytes: Vec<u8>) -> Result<StepReply, GroupError> {
        let step = call.step.clone();
        let (reply, answer) = sync_channel(1);
        let command = Command::Arrive {
            group: self.seat.group,
            call,
            bytes,
            timeout: self.timeout,
            reply,
        };
        self.engine.commands.send(command).map_err(|_| engine(&step, ENDED))?;
        // The coordinator keeps the time. If no message comes from it, the coordinator itself is missing.
        let patience = self.timeout.saturating_add(GRACE);
        match answer.recv_timeout(patience) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected) => Err(engine(&step, ENDED)),
            Err(RecvTimeoutError::Timeout) if self.seat.rank == 0 => Err(engine(&step, "MPI stands still")),
            Err(RecvTimeoutError::Timeout) => Err(GroupError::Timeout {
                step,
                missing: vec![0],
                after: patience,
            }),
        }
    }
}

impl ProcessGroup for MpiGroup {
    fn rank(&self) -> usize {
        self.seat.rank
    }

    fn world_size(&self) -> usize {
        self.seat.members.len()
    }

    fn all_gather(&self, step: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        let outcome = self.step(Call::new(step, Operation::AllGather), self.copied(step, bytes)?)?;
        Ok(outcome.bytes)
    }

    fn broadcast(&self, step: &str, root: usize, bytes: &[u8]) -> Result<Vec<u8>, GroupError> {
        let bytes = if root == self.rank() { bytes } else { &[] };
        let bytes = self.copied(step, bytes)?;
        let mut outcome = self.step(Call::new(step, Operation::Broadcast { root }), bytes)?;
        if root < outcome.bytes.len() {
            return Ok(outcome.bytes.swap_remove(root));
        }
        Err(GroupError::NoSuchRank {
            step: step.to_owned(),
            rank: root,
            world_size: self.world_size(),
        })
    }

    fn barrier(&self, step: &str) -> Result<(), GroupError> {
        self.step(Call::new(step, Operation::Barrier), Vec::new()).map(drop)
    }

    fn duplicate(&self) -> Result<Box<dyn ProcessGroup>, GroupError> {
        let group = self.regroup(Call::new("duplicate the group", Operation::Duplicate), Vec::new())?;
        Ok(Box::new(group))
    }
}

impl Drop for MpiGroup {
    fn drop(&mut self) {
        let patience = match self.failed.get() {
            Some(_) => GRACE,
            None => self.timeout.max(GRACE),
        };
        let mut farewell = lock(&self.engine.farewell);
        *farewell = patience.min(*farewell);
        // If the thread that calls MPI has ended, no group needs the message.
        let _ = self.engine.commands.send(Command::Leave(self.seat.group));
    }
}

impl fmt::Debug for MpiGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MpiGroup")
            .field("rank", &self.seat.rank)
            .field("world_size", &self.seat.members.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the thread that calls MPI, and MPI itself.
    fn start() -> Result<Self, GroupError> {
        let (commands, incoming) = channel();
        let (ready, started) = sync_channel(1);
        let (end, ended) = sync_channel::<()>(1);
        let speak = move || {
            let worker = MpiWorker::open();
            let world_info = worker.as_ref().map(MpiWorker::world_info).map_err(Clone::clone);
            if ready.send(world_info).is_ok()
                && let Ok(worker) = worker
            {
                worker.run(&incoming);
            }
            // The receiver sees that the channel has closed.
            drop(end);
        };
        let thread = thread::Builder::new().name("mpi".to_owned()).spawn(speak);
        thread.map_err(|error| starting(&format!("the thread for MPI did not start: {error}")))?;
        let world_info = started.recv_timeout(MpiGroup::TIMEOUT);
        let world_info =
            world_info.map_err(|_| starting("MPI did not start, or the other processes did not come"))??;
        Ok(Self {
            commands,
            ended: Mutex::new(ended),
            farewell: Mutex::new(MpiGroup::TIMEOUT),
            world_info,
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // If the thread that calls MPI has ended, no group needs the message.
        let _ = self.commands.send(Command::End);
        let farewell = *lock(&self.farewell);
        // The end of MPI in the other processes is not waited for any longer, as the documentation of `MpiGroup` says.
        let _ = lock(&self.ended).recv_timeout(farewell);
    }
}

const ENDED: &str = "the thread that speaks to MPI has ended";

fn engine(step: &str, what: &str) -> GroupError {
    GroupError::Engine {
        step: step.to_owned(),
        what: what.to_owned(),
    }
}

fn starting(what: &str) -> GroupError {
    engine("start MPI", what)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
