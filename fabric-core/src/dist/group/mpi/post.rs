//! The thread that speaks to MPI: it carries messages between this process's handles, its hubs, and other processes.
//!
//! Nothing here blocks for another process. Messages are sent without waiting, and received once they have come; between
//! them the thread sleeps, ever longer up to a few milliseconds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use ::mpi::Threading;
use ::mpi::environment::{Universe, is_finalized, threading_support};
use ::mpi::point_to_point::MatchedReceiveVec;
use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::{Communicator, Equivalence, Source};

use super::frame::{GroupId, Header, Place, Word, cut, decode, encode};
use super::hub::{Hub, Letter};
use super::sending::Sending;
use super::{engine, starting};
use crate::dist::group::GroupError;
use crate::dist::group::meeting::Call;
use crate::io::pages;

/// What a handle wants.
pub(crate) enum Order {
    /// To be in a group.
    Enter(Place),
    /// To come to a step.
    Come {
        group: GroupId,
        call: Call,
        bytes: Vec<u8>,
        timeout: Duration,
        reply: SyncSender<Result<Outcome, GroupError>>,
    },
    /// To tell a group that it cannot go on.
    Fail { group: GroupId, error: GroupError },
    /// To leave a group.
    Leave(GroupId),
    /// There are no handles any more.
    End,
}

/// What a step gives.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) place: Option<Place>,
}

/// Where this process stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    pub(crate) rank: usize,
    pub(crate) world_size: usize,
    /// Whether MPI was not there before.
    pub(crate) starts_mpi: bool,
}

// The order is that of the end: messages, communicator, MPI.
pub(crate) struct Post {
    sending: Vec<Sending>,
    world: SimpleCommunicator,
    universe: Option<Universe>,
    ground: Ground,
    memberships: BTreeMap<GroupId, Membership>,
    hubs: BTreeMap<GroupId, Hub>,
    /// Messages of this process to itself.
    local: VecDeque<(usize, Arc<[u8]>)>,
    /// Messages about groups of which this process has not heard yet: others were told before.
    early: Vec<(usize, Arc<[u8]>)>,
    groups_made: u64,
    ending: bool,
}

/// A group as one of its ranks sees it.
struct Membership {
    hub: usize,
    rank: usize,
    waiting: Option<SyncSender<Result<Outcome, GroupError>>>,
    broken: Option<GroupError>,
}

impl Post {
    /// Starts MPI, unless the program has. All processes do this together.
    pub(crate) fn open() -> Result<Self, GroupError> {
        let started = ::mpi::initialize_with_threading(Threading::Multiple);
        let threading = threading_support();
        let (universe, enough) = match started {
            // This thread is MPI's main thread then, and the only one that calls it.
            Some((universe, _)) => (Some(universe), threading >= Threading::Funneled),
            None if is_finalized() => return Err(starting("MPI has ended in this process")),
            None => (None, threading == Threading::Multiple),
        };
        if !enough {
            let what = format!("MPI was started for {threading:?} threading, and Multiple is needed");
            return Err(starting(&what));
        }
        let world = SimpleCommunicator::world().duplicate();
        let ground = Ground {
            rank: usize::try_from(world.rank()).unwrap_or_default(),
            world_size: usize::try_from(world.size()).unwrap_or_default(),
            starts_mpi: universe.is_some(),
        };
        Ok(Self {
            sending: Vec::new(),
            world,
            universe,
            ground,
            memberships: BTreeMap::new(),
            hubs: BTreeMap::new(),
            local: VecDeque::new(),
            early: Vec::new(),
            groups_made: 0,
            ending: false,
        })
    }

    pub(crate) fn ground(&self) -> Ground {
        self.ground
    }

    /// Works until there are no handles any more, and every group in which this process was is closed.
    pub(crate) fn run(mut self, orders: &Receiver<Order>) {
        let mut idle = 0_u32;
        while !self.is_over() {
            idle = idle.saturating_add(1);
            while let Ok(order) = orders.try_recv() {
                self.obey(order);
                idle = 0;
            }
            if self.receive() || self.keep_time() {
                idle = 0;
            }
            self.sending.retain_mut(|sending| !sending.is_done());
            if idle == 0 {
                continue;
            }
            let pause = self.pause(idle);
            match orders.recv_timeout(pause) {
                Ok(order) => {
                    self.obey(order);
                    idle = 0;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(pause),
            }
        }
        // MPI ends here, if it began here.
        drop(self.world);
        drop(self.universe);
    }

    fn is_over(&self) -> bool {
        let open = self.memberships.len() + self.hubs.len() + self.sending.len() + self.local.len();
        self.ending && open == 0
    }

    /// How long to sleep after `idle` rounds in which nothing happened.
    fn pause(&self, idle: u32) -> Duration {
        const FIRST: Duration = Duration::from_micros(10);
        let waits = self.memberships.values().any(|membership| membership.waiting.is_some());
        let busy = waits || !self.sending.is_empty() || self.hubs.values().any(Hub::is_busy);
        let longest = Duration::from_millis(if busy { 1 } else { 4 });
        if idle <= 16 {
            thread::yield_now();
            return Duration::ZERO;
        }
        longest.min(FIRST.saturating_mul(1 << (idle / 16).min(10)))
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Enter(place) => self.enter(&place),
            Order::Come {
                group,
                call,
                bytes,
                timeout,
                reply,
            } => {
                let step = call.step.clone();
                let Some(membership) = self.memberships.get_mut(&group) else {
                    answer(&reply, Err(engine(&step, "this process is not in the group")));
                    return;
                };
                if let Some(error) = &membership.broken {
                    answer(&reply, Err(error.clone()));
                    return;
                }
                membership.waiting = Some(reply);
                let rank = membership.rank;
                if let Err(what) = self.tell_hub(group, Word::Come { rank, call, timeout }, &[bytes]) {
                    self.fail(group, engine(&step, &what));
                }
            }
            Order::Fail { group, error } => self.fail(group, error),
            Order::Leave(group) => self.leave(group),
            Order::End => self.ending = true,
        }
    }

    fn enter(&mut self, place: &Place) {
        let Some(&hub) = place.members.first() else { return };
        if hub == self.ground.rank {
            self.hubs.insert(place.group, Hub::new(place));
        }
        let membership = Membership {
            hub,
            rank: place.rank,
            waiting: None,
            broken: None,
        };
        self.memberships.insert(place.group, membership);
        self.local.extend(self.early.drain(..));
    }

    /// The hub's answer comes to this rank too.
    fn fail(&mut self, group: GroupId, error: GroupError) {
        // It is short, and always goes.
        let _ = self.tell_hub(group, Word::Fail { error }, &[]);
    }

    fn leave(&mut self, group: GroupId) {
        if let Some(rank) = self.memberships.get(&group).map(|membership| membership.rank) {
            // It is short, and always goes.
            let _ = self.tell_hub(group, Word::Leave { rank }, &[]);
        }
    }

    fn tell_hub(&mut self, group: GroupId, word: Word, parts: &[Vec<u8>]) -> Result<(), String> {
        if let Some(hub) = self.memberships.get(&group).map(|membership| membership.hub) {
            let message = encode(&Header { group, word }, parts)?;
            self.send([(hub, message)]);
        }
        Ok(())
    }

    fn send(&mut self, letters: impl IntoIterator<Item = Letter>) {
        for (process, message) in letters {
            if process == self.ground.rank {
                self.local.push_back((process, message));
            } else if let Ok(process) = i32::try_from(process) {
                let process = self.world.process_at_rank(process);
                self.sending.push(Sending::start(&process, message));
            }
        }
    }

    /// Takes what has come; returns whether there was something.
    fn receive(&mut self) -> bool {
        let mut any = false;
        loop {
            let (from, message) = if let Some(letter) = self.local.pop_front() {
                letter
            } else if !self.has_room() {
                return any;
            } else if let Some(probed) = self.world.any_process().immediate_matched_probe() {
                let (message, status) = probed.matched_receive_vec::<u8>();
                let from = usize::try_from(status.source_rank()).unwrap_or(usize::MAX);
                (from, message.into())
            } else {
                return any;
            };
            any = true;
            self.take(from, message);
        }
    }

    /// Looks for memory for the message that has come. If there is none, MPI keeps it until there is, or until the ranks that wait
    /// for it give up.
    fn has_room(&self) -> bool {
        let status = self.world.any_process().immediate_probe();
        let len = status.map_or(0, |status| status.count(u8::equivalent_datatype()));
        // Once more, for as long as the message moves to where it is shared.
        pages::look(usize::try_from(len).unwrap_or_default().saturating_mul(2)).is_ok()
    }

    fn take(&mut self, from: usize, message: Arc<[u8]>) {
        let Some((Header { group, word }, bytes)) = decode(&message) else {
            self.break_all(&format!(
                "process {from} sent what is no message; do all run the same program?"
            ));
            return;
        };
        let to_hub = matches!(word, Word::Come { .. } | Word::Leave { .. } | Word::Fail { .. });
        if to_hub && self.hubs.contains_key(&group) {
            self.hear(group, from, word, bytes);
        } else if !to_hub && self.memberships.contains_key(&group) {
            self.be_told(group, word, bytes);
        } else {
            self.early.push((from, message));
        }
    }

    /// A rank speaks to the hub of its group, which is here.
    fn hear(&mut self, group: GroupId, from: usize, word: Word, bytes: &[u8]) {
        let Some(hub) = self.hubs.get_mut(&group) else { return };
        let letters = match word {
            Word::Come { rank, call, timeout } if hub.knows(rank, from) => match pages::copied(bytes) {
                Ok(bytes) => {
                    let (maker, made) = (self.ground.rank, &mut self.groups_made);
                    hub.come((rank, call, timeout), bytes, || {
                        *made += 1;
                        GroupId::made_by(maker, *made)
                    })
                }
                Err(error) => hub.fail(engine(&call.step, &error.to_string())),
            },
            Word::Leave { rank } if hub.knows(rank, from) => hub.leave(rank),
            Word::Fail { error } => hub.fail(error),
            _ => hub.fail(engine(
                "a step",
                &format!("process {from} spoke for a rank that it is not"),
            )),
        };
        if hub.is_closed() {
            self.hubs.remove(&group);
        }
        self.send(letters);
    }

    /// The hub of a group speaks to this process.
    fn be_told(&mut self, group: GroupId, word: Word, bytes: &[u8]) {
        let Some(membership) = self.memberships.get_mut(&group) else {
            return;
        };
        match word {
            Word::Done { lengths, place } => {
                let reply = membership.waiting.take();
                if let Some(place) = &place {
                    self.enter(place);
                }
                let entered = place.as_ref().map(|place| place.group);
                let parts = cut(bytes, &lengths).map_err(|what| engine("a step", &what));
                let outcome = parts.map(|bytes| Outcome { bytes, place });
                let taken = reply.is_some_and(|reply| answer(&reply, outcome));
                // The handle has given up meanwhile: nobody will ever leave the new group but this.
                if let (false, Some(group)) = (taken, entered) {
                    self.leave(group);
                }
            }
            Word::Broken { error } => membership.break_with(error),
            _ => {
                self.memberships.remove(&group);
            }
        }
    }

    /// Gives up for those whose time has passed; returns whether there were any.
    fn keep_time(&mut self) -> bool {
        let now = Instant::now();
        let letters: Vec<Letter> = self.hubs.values_mut().flat_map(|hub| hub.keep_time(now)).collect();
        let any = !letters.is_empty();
        self.send(letters);
        any
    }

    fn break_all(&mut self, what: &str) {
        for membership in self.memberships.values_mut() {
            membership.break_with(engine("a step", what));
        }
    }
}

impl Membership {
    fn break_with(&mut self, error: GroupError) {
        if let Some(reply) = self.waiting.take() {
            answer(&reply, Err(error.clone()));
        }
        self.broken.get_or_insert(error);
    }
}

/// Answers a handle; returns whether it still waited.
fn answer(reply: &SyncSender<Result<Outcome, GroupError>>, outcome: Result<Outcome, GroupError>) -> bool {
    reply.try_send(outcome).is_ok()
}
