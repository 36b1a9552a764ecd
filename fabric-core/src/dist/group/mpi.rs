//! Ranks that are processes of an MPI job.
//!
//! One thread of the process speaks to MPI, and nobody else does: [`post`] is what it does all day. So a handle holds
//! nothing of MPI's, and can be sent and shared, and a rank whose program is busy elsewhere still answers: the messages of
//! a group meet at its first rank, and there it is known who is missing, also if it is that rank itself.

mod frame;
mod hub;
mod post;
mod sending;

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use self::frame::{GroupId, Place};
use self::post::{Ground, Order, Outcome, Post};
use super::meeting::{Call, Operation, encode_color};
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
/// A program that uses MPI itself starts it with `Threading::Multiple` before it asks for the [`world`](Self::world), and
/// keeps its `Universe` until the last handle is gone. Otherwise this starts MPI, and the end of the last handle ends it.
///
/// What holds for [`ThreadGroup`](super::ThreadGroup) holds here: a step succeeds on all ranks or on none, a group that
/// failed stays failed, a rank whose handle is dropped is told to those who wait at once, ranks at different steps too,
/// threads that share a handle take turns. A *process* that dies is the business of `mpirun`, which ends the others.
///
/// # The end
/// MPI ends when all processes end it, so dropping the last handle of a process waits for the others to drop theirs: for
/// the timeout, or for ten seconds if a step had failed. Processes that did not come by then are left behind; `mpirun`
/// sees a process that went without MPI's farewell, and ends the job. A program that calls `process::exit` drops nothing,
/// and ends the same way.
pub struct MpiGroup {
    engine: Arc<Engine>,
    place: Place,
    timeout: Duration,
    turn: Mutex<()>,
    failed: OnceLock<GroupError>,
}

/// The way to the thread that speaks to MPI.
struct Engine {
    orders: Sender<Order>,
    ended: Mutex<Receiver<()>>,
    /// How long the end waits for the other processes.
    farewell: Mutex<Duration>,
    ground: Ground,
}

/// The one engine of this process, as MPI starts once.
static LIVING: Mutex<Living> = Mutex::new(Living {
    engine: Weak::new(),
    ends_mpi: false,
    groups: 0,
});

struct Living {
    engine: Weak<Engine>,
    /// Whether the end of the engine was the end of MPI in this process.
    ends_mpi: bool,
    /// How often the world was asked for: every rank asks as often, which gives each of these groups a name.
    groups: u64,
}

/// How much longer than its timeout a rank waits for word from the rank where messages meet, and what the farewell of a
/// process waits after a failure.
const GRACE: Duration = Duration::from_secs(10);

impl MpiGroup {
    /// How long a step waits if nothing else is said: half an hour, as PyTorch's gloo.
    pub const TIMEOUT: Duration = Duration::from_secs(30 * 60);

    /// All processes of the job. A step itself: all processes call it, and equally often.
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
                living.ends_mpi = engine.ground.starts_mpi;
                engine
            }
        };
        let place = Place {
            group: GroupId::world(living.groups),
            members: (0..engine.ground.world_size).collect(),
            rank: engine.ground.rank,
        };
        living.groups += 1;
        let entered = engine.orders.send(Order::Enter(place.clone()));
        entered.map_err(|_| starting(ENDED))?;
        Ok(Self::new(engine, place, Self::TIMEOUT))
    }

    /// Sets how long a step of this rank waits for the others; [`TIMEOUT`](Self::TIMEOUT) at first. Groups made of this
    /// one have the same.
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

    fn new(engine: Arc<Engine>, place: Place, timeout: Duration) -> Self {
        Self {
            engine,
            place,
            timeout,
            turn: Mutex::new(()),
            failed: OnceLock::new(),
        }
    }

    fn regroup(&self, call: Call, bytes: Vec<u8>) -> Result<Self, GroupError> {
        let step = call.step.clone();
        match self.meet(call, bytes)?.place {
            Some(place) => Ok(Self::new(Arc::clone(&self.engine), place, self.timeout)),
            None => Err(engine(&step, "the new group did not arrive")),
        }
    }

    /// Comes to a step and waits for the others.
    fn meet(&self, call: Call, bytes: Vec<u8>) -> Result<Outcome, GroupError> {
        let _turn = lock(&self.turn);
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let met = self.come(call, bytes);
        if let Err(error) = &met {
            self.failed.get_or_init(|| error.clone());
        }
        met
    }

    /// A message in memory of its own. Without the memory, this rank cannot go on with the others, and all are told.
    fn copied(&self, step: &str, bytes: &[u8]) -> Result<Vec<u8>, GroupError> {
        pages::copied(bytes).map_err(|error| {
            let error = engine(step, &format!("rank {}: {error}", self.place.rank));
            let error = self.failed.get_or_init(|| error).clone();
            // If the thread has ended, nobody is there to be told.
            let _ = self.engine.orders.send(Order::Fail {
                group: self.place.group,
                error: error.clone(),
            });
            error
        })
    }

    fn come(&self, call: Call, bytes: Vec<u8>) -> Result<Outcome, GroupError> {
        let step = call.step.clone();
        let (reply, answer) = sync_channel(1);
        let order = Order::Come {
            group: self.place.group,
            call,
            bytes,
            timeout: self.timeout,
            reply,
        };
        self.engine.orders.send(order).map_err(|_| engine(&step, ENDED))?;
        // The rank where messages meet keeps the time. If nothing comes from there, it is that one which is missing.
        let patience = self.timeout.saturating_add(GRACE);
        match answer.recv_timeout(patience) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected) => Err(engine(&step, ENDED)),
            Err(RecvTimeoutError::Timeout) if self.place.rank == 0 => Err(engine(&step, "MPI stands still")),
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
        self.place.rank
    }

    fn world_size(&self) -> usize {
        self.place.members.len()
    }

    fn all_gather(&self, step: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        let outcome = self.meet(Call::new(step, Operation::AllGather), self.copied(step, bytes)?)?;
        Ok(outcome.bytes)
    }

    fn broadcast(&self, step: &str, root: usize, bytes: &[u8]) -> Result<Vec<u8>, GroupError> {
        let bytes = if root == self.rank() { bytes } else { &[] };
        let bytes = self.copied(step, bytes)?;
        let mut outcome = self.meet(Call::new(step, Operation::Broadcast { root }), bytes)?;
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
        self.meet(Call::new(step, Operation::Barrier), Vec::new()).map(drop)
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
        // If the thread has ended, nobody is there to be told.
        let _ = self.engine.orders.send(Order::Leave(self.place.group));
    }
}

impl fmt::Debug for MpiGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MpiGroup")
            .field("rank", &self.place.rank)
            .field("world_size", &self.place.members.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the thread, and MPI on it.
    fn start() -> Result<Self, GroupError> {
        let (orders, incoming) = channel();
        let (ready, started) = sync_channel(1);
        let (end, ended) = sync_channel::<()>(1);
        let speak = move || {
            let post = Post::open();
            let ground = post.as_ref().map(Post::ground).map_err(Clone::clone);
            if ready.send(ground).is_ok()
                && let Ok(post) = post
            {
                post.run(&incoming);
            }
            // It is the end of the channel that tells.
            drop(end);
        };
        let thread = thread::Builder::new().name("mpi".to_owned()).spawn(speak);
        thread.map_err(|error| starting(&format!("the thread for MPI did not start: {error}")))?;
        let ground = started.recv_timeout(MpiGroup::TIMEOUT);
        let ground = ground.map_err(|_| starting("MPI did not start, or the other processes did not come"))??;
        Ok(Self {
            orders,
            ended: Mutex::new(ended),
            farewell: Mutex::new(MpiGroup::TIMEOUT),
            ground,
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // If the thread has ended, nobody is there to be told.
        let _ = self.orders.send(Order::End);
        let farewell = *lock(&self.farewell);
        // Whoever has not come by now is left behind, as the documentation of `MpiGroup` says.
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
