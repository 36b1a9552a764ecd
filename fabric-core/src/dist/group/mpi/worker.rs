//! The thread that calls MPI: it carries messages between the handles of this process, its coordinators, and other
//! processes.
//!
//! No call here blocks for another process. Messages are sent without waiting, and received once they have arrived; in
//! between the thread sleeps, up to a few milliseconds.

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

use super::coordinator::{Coordinator, Outgoing};
use super::message::{Envelope, GroupId, GroupMessage, Seat, cut, decode, encode};
use super::sending::Sending;
use super::{engine, starting};
use crate::dist::group::GroupError;
use crate::dist::group::rendezvous::Call;
use crate::io::pages;

/// A command of a handle.
pub(super) enum Command {
    /// Enter a group.
    Enter(Seat),
    /// Arrive at a step.
    Arrive {
        group: GroupId,
        call: Call,
        bytes: Vec<u8>,
        timeout: Duration,
        reply: SyncSender<Result<StepReply, GroupError>>,
    },
    /// Fail a group.
    Fail { group: GroupId, error: GroupError },
    /// Leave a group.
    Leave(GroupId),
    /// End: the last handle was dropped.
    End,
}

/// The result of a step.
#[derive(Debug)]
pub(super) struct StepReply {
    pub(super) bytes: Vec<Vec<u8>>,
    pub(super) seat: Option<Seat>,
}

/// The place of this process in the job.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorldInfo {
    pub(super) rank: usize,
    pub(super) world_size: usize,
    /// True if the worker has started MPI.
    pub(super) starts_mpi: bool,
}

// The fields are dropped in this order: messages, communicator, MPI.
pub(super) struct MpiWorker {
    sending: Vec<Sending>,
    world: SimpleCommunicator,
    universe: Option<Universe>,
    world_info: WorldInfo,
    memberships: BTreeMap<GroupId, Membership>,
    coordinators: BTreeMap<GroupId, Coordinator>,
    /// Messages of this process to itself.
    local: VecDeque<(usize, Arc<[u8]>)>,
    /// Messages about groups that this process has not entered yet.
    early: Vec<(usize, Arc<[u8]>)>,
    groups_made: u64,
    ending: bool,
}

/// The state of a group on one of its ranks.
struct Membership {
    coordinator: usize,
    rank: usize,
    waiting: Option<SyncSender<Result<StepReply, GroupError>>>,
    broken: Option<GroupError>,
}

impl MpiWorker {
    /// Starts MPI, unless the program has. All processes do this together.
    pub(super) fn open() -> Result<Self, GroupError> {
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
        let world_info = WorldInfo {
            rank: usize::try_from(world.rank()).unwrap_or_default(),
            world_size: usize::try_from(world.size()).unwrap_or_default(),
            starts_mpi: universe.is_some(),
        };
        Ok(Self {
            sending: Vec::new(),
            world,
            universe,
            world_info,
            memberships: BTreeMap::new(),
            coordinators: BTreeMap::new(),
            local: VecDeque::new(),
            early: Vec::new(),
            groups_made: 0,
            ending: false,
        })
    }

    pub(super) fn world_info(&self) -> WorldInfo {
        self.world_info
    }

    /// Works until the last handle is dropped, and every group of this process is closed.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut idle = 0_u32;
        while !self.is_over() {
            idle = idle.saturating_add(1);
            while let Ok(command) = commands.try_recv() {
                self.execute(command);
                idle = 0;
            }
            if self.receive() || self.expire_timeouts() {
                idle = 0;
            }
            self.sending.retain_mut(|sending| !sending.is_done());
            if idle == 0 {
                continue;
            }
            let pause = self.pause(idle);
            match commands.recv_timeout(pause) {
                Ok(command) => {
                    self.execute(command);
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
        let open = self.memberships.len() + self.coordinators.len() + self.sending.len() + self.local.len();
        self.ending && open == 0
    }

    /// The pause after `idle` rounds without work.
    fn pause(&self, idle: u32) -> Duration {
        const FIRST: Duration = Duration::from_micros(10);
        let waits = self.memberships.values().any(|membership| membership.waiting.is_some());
        let busy = waits || !self.sending.is_empty() || self.coordinators.values().any(Coordinator::is_busy);
        let longest = Duration::from_millis(if busy { 1 } else { 4 });
        if idle <= 16 {
            thread::yield_now();
            return Duration::ZERO;
        }
        longest.min(FIRST.saturating_mul(1 << (idle / 16).min(10)))
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Enter(seat) => self.enter(&seat),
            Command::Arrive {
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
                if let Err(what) =
                    self.send_to_coordinator(group, GroupMessage::Arrive { rank, call, timeout }, &[bytes])
                {
                    self.fail(group, engine(&step, &what));
                }
            }
            Command::Fail { group, error } => self.fail(group, error),
            Command::Leave(group) => self.leave(group),
            Command::End => self.ending = true,
        }
    }

    fn enter(&mut self, seat: &Seat) {
        let Some(&coordinator) = seat.members.first() else {
            return;
        };
        if coordinator == self.world_info.rank {
            self.coordinators.insert(seat.group, Coordinator::new(seat));
        }
        let membership = Membership {
            coordinator,
            rank: seat.rank,
            waiting: None,
            broken: None,
        };
        self.memberships.insert(seat.group, membership);
        self.local.extend(self.early.drain(..));
    }

    /// Fails a group. The coordinator answers this rank too.
    fn fail(&mut self, group: GroupId, error: GroupError) {
        // It is short, and always goes.
        let _ = self.send_to_coordinator(group, GroupMessage::Fail { error }, &[]);
    }

    fn leave(&mut self, group: GroupId) {
        if let Some(rank) = self.memberships.get(&group).map(|membership| membership.rank) {
            // It is short, and always goes.
            let _ = self.send_to_coordinator(group, GroupMessage::Leave { rank }, &[]);
        }
    }

    fn send_to_coordinator(&mut self, group: GroupId, body: GroupMessage, parts: &[Vec<u8>]) -> Result<(), String> {
        if let Some(coordinator) = self.memberships.get(&group).map(|membership| membership.coordinator) {
            let message = encode(&Envelope { group, body }, parts)?;
            self.send([(coordinator, message)]);
        }
        Ok(())
    }

    fn send(&mut self, outgoing: impl IntoIterator<Item = Outgoing>) {
        for (process, message) in outgoing {
            if process == self.world_info.rank {
                self.local.push_back((process, message));
            } else if let Ok(process) = i32::try_from(process) {
                let process = self.world.process_at_rank(process);
                self.sending.push(Sending::start(&process, message));
            }
        }
    }

    /// Receives all messages that have arrived; true if there were any.
    fn receive(&mut self) -> bool {
        let mut any = false;
        loop {
            let (from, message) = if let Some(message) = self.local.pop_front() {
                message
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

    /// Looks for memory for the message that has come. If there is none, MPI keeps it until there is, or until the
    /// ranks that wait for it give up.
    fn has_room(&self) -> bool {
        let status = self.world.any_process().immediate_probe();
        let len = status.map_or(0, |status| status.count(u8::equivalent_datatype()));
        // Once more, for as long as the message moves to where it is shared.
        pages::look(usize::try_from(len).unwrap_or_default().saturating_mul(2)).is_ok()
    }

    fn take(&mut self, from: usize, message: Arc<[u8]>) {
        let Some((Envelope { group, body }, bytes)) = decode(&message) else {
            self.break_all(&format!(
                "process {from} sent what is no message; do all run the same program?"
            ));
            return;
        };
        let to_coordinator = matches!(
            body,
            GroupMessage::Arrive { .. } | GroupMessage::Leave { .. } | GroupMessage::Fail { .. }
        );
        if to_coordinator && self.coordinators.contains_key(&group) {
            self.handle_at_coordinator(group, from, body, bytes);
        } else if !to_coordinator && self.memberships.contains_key(&group) {
            self.handle_at_member(group, body, bytes);
        } else {
            self.early.push((from, message));
        }
    }

    /// Handles a message of a rank to the coordinator of its group, which is in this process.
    fn handle_at_coordinator(&mut self, group: GroupId, from: usize, body: GroupMessage, bytes: &[u8]) {
        let Some(coordinator) = self.coordinators.get_mut(&group) else {
            return;
        };
        let outgoing = match body {
            GroupMessage::Arrive { rank, call, timeout } if coordinator.knows(rank, from) => match pages::copied(bytes)
            {
                Ok(bytes) => {
                    let (maker, made) = (self.world_info.rank, &mut self.groups_made);
                    coordinator.arrive((rank, call, timeout), bytes, || {
                        *made += 1;
                        GroupId::made_by(maker, *made)
                    })
                }
                Err(error) => coordinator.fail(engine(&call.step, &error.to_string())),
            },
            GroupMessage::Leave { rank } if coordinator.knows(rank, from) => coordinator.leave(rank),
            GroupMessage::Fail { error } => coordinator.fail(error),
            _ => coordinator.fail(engine(
                "a step",
                &format!("process {from} spoke for a rank that it is not"),
            )),
        };
        if coordinator.is_closed() {
            self.coordinators.remove(&group);
        }
        self.send(outgoing);
    }

    /// Handles a message of the coordinator of a group to this process.
    fn handle_at_member(&mut self, group: GroupId, body: GroupMessage, bytes: &[u8]) {
        let Some(membership) = self.memberships.get_mut(&group) else {
            return;
        };
        match body {
            GroupMessage::Done { lengths, seat } => {
                let reply = membership.waiting.take();
                if let Some(seat) = &seat {
                    self.enter(seat);
                }
                let entered = seat.as_ref().map(|seat| seat.group);
                let parts = cut(bytes, &lengths).map_err(|what| engine("a step", &what));
                let outcome = parts.map(|bytes| StepReply { bytes, seat });
                let taken = reply.is_some_and(|reply| answer(&reply, outcome));
                // The handle has stopped waiting, so this process leaves the new group for it.
                if let (false, Some(group)) = (taken, entered) {
                    self.leave(group);
                }
            }
            GroupMessage::Broken { error } => membership.break_with(error),
            _ => {
                self.memberships.remove(&group);
            }
        }
    }

    /// Fails the groups whose deadlines have passed; true if there were any.
    fn expire_timeouts(&mut self) -> bool {
        let now = Instant::now();
        let outgoing: Vec<Outgoing> = self
            .coordinators
            .values_mut()
            .flat_map(|coordinator| coordinator.expire_timeouts(now))
            .collect();
        let any = !outgoing.is_empty();
        self.send(outgoing);
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

/// Answers a handle; true if it still waits.
fn answer(reply: &SyncSender<Result<StepReply, GroupError>>, outcome: Result<StepReply, GroupError>) -> bool {
    reply.try_send(outcome).is_ok()
}
