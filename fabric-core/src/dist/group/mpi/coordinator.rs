//! The coordinator of a group: the process of its first rank, which collects the messages of all ranks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{Envelope, GroupId, GroupMessage, Seat, encode};
use crate::dist::group::GroupError;
use crate::dist::group::rendezvous::{Call, CompletedStep, Operation, Rendezvous, decode_colors, split};

/// The number of a process, and a message for it.
pub(super) type Outgoing = (usize, Arc<[u8]>);

pub(super) struct Coordinator {
    group: GroupId,
    members: Vec<usize>,
    rendezvous: Rendezvous,
    /// The deadline of each rank that has arrived, and its timeout.
    deadlines: Vec<Option<(Instant, Duration)>>,
    failure_is_sent: bool,
}

impl Coordinator {
    pub(super) fn new(seat: &Seat) -> Self {
        let world_size = seat.members.len();
        Self {
            group: seat.group,
            members: seat.members.clone(),
            rendezvous: Rendezvous::new(world_size),
            deadlines: vec![None; world_size],
            failure_is_sent: false,
        }
    }

    /// Returns true if process `from` is rank `rank` of this group.
    pub(super) fn knows(&self, rank: usize, from: usize) -> bool {
        self.members.get(rank) == Some(&from)
    }

    /// Rank `rank` arrives at a step; `name` makes the names of new groups.
    pub(super) fn arrive(
        &mut self,
        (rank, call, timeout): (usize, Call, Duration),
        bytes: Vec<u8>,
        name: impl FnMut() -> GroupId,
    ) -> Vec<Outgoing> {
        match self.rendezvous.arrive(rank, call, bytes) {
            Ok(None) => {
                self.deadlines[rank] = Instant::now().checked_add(timeout).map(|end| (end, timeout));
                Vec::new()
            }
            Ok(Some(complete)) => self.done(&complete, name),
            Err(_) => self.failure_messages(),
        }
    }

    /// Rank `rank` leaves the group.
    pub(super) fn leave(&mut self, rank: usize) -> Vec<Outgoing> {
        self.rendezvous.leave(rank);
        if self.rendezvous.is_deserted() {
            return self.messages_to_all(|_| GroupMessage::Closed);
        }
        self.failure_messages()
    }

    pub(super) fn fail(&mut self, error: GroupError) -> Vec<Outgoing> {
        self.rendezvous.fail(error);
        self.failure_messages()
    }

    /// Returns true if all ranks have left: no message follows.
    pub(super) fn is_closed(&self) -> bool {
        self.rendezvous.is_deserted()
    }

    /// Returns true if a rank waits at a step.
    pub(super) fn is_busy(&self) -> bool {
        self.deadlines.iter().any(Option::is_some)
    }

    /// Fails the group if the deadline of a rank has passed.
    pub(super) fn expire_timeouts(&mut self, now: Instant) -> Vec<Outgoing> {
        let passed = |deadline: &Option<(Instant, Duration)>| deadline.is_some_and(|(end, _)| end <= now);
        let Some(rank) = self.deadlines.iter().position(passed) else {
            return Vec::new();
        };
        if let Some((_, after)) = self.deadlines[rank] {
            self.rendezvous.give_up(rank, after);
        }
        self.failure_messages()
    }

    fn done(&mut self, complete: &CompletedStep, mut name: impl FnMut() -> GroupId) -> Vec<Outgoing> {
        self.deadlines.fill(None);
        let everyone = (0..self.members.len()).collect();
        let groups = match complete.call.operation {
            Operation::Duplicate => vec![everyone],
            Operation::Split => split(&decode_colors(&complete.bytes).unwrap_or_default()),
            _ => return self.gathered_messages(complete),
        };
        let mut outgoing = Vec::new();
        for ranks in groups {
            let group = name();
            let members: Vec<usize> = ranks.iter().map(|&rank| self.members[rank]).collect();
            for (rank, &process) in members.iter().enumerate() {
                let members = members.clone();
                let seat = Some(Seat { group, members, rank });
                let lengths = Vec::new();
                outgoing.extend(self.message_to(process, GroupMessage::Done { lengths, seat }));
            }
        }
        outgoing
    }

    /// The messages of a complete step: one message with the bytes of all ranks, for every rank.
    fn gathered_messages(&mut self, complete: &CompletedStep) -> Vec<Outgoing> {
        let envelope = Envelope {
            group: self.group,
            body: GroupMessage::Done {
                lengths: complete.bytes.iter().map(Vec::len).collect(),
                seat: None,
            },
        };
        match encode(&envelope, &complete.bytes) {
            Ok(message) => self
                .members
                .iter()
                .map(|&process| (process, Arc::clone(&message)))
                .collect(),
            Err(what) => {
                let step = complete.call.step.clone();
                self.fail(GroupError::Engine { step, what })
            }
        }
    }

    /// The messages of a failed group, once.
    fn failure_messages(&mut self) -> Vec<Outgoing> {
        if self.rendezvous.check(0).is_ok() || self.failure_is_sent {
            return Vec::new();
        }
        self.failure_is_sent = true;
        self.deadlines.fill(None);
        self.messages_to_all(|rank| match self.rendezvous.check(rank) {
            Err(error) => GroupMessage::Broken { error },
            Ok(()) => GroupMessage::Closed,
        })
    }

    fn messages_to_all(&self, body: impl Fn(usize) -> GroupMessage) -> Vec<Outgoing> {
        let message = |(rank, &process)| self.message_to(process, body(rank));
        self.members.iter().enumerate().filter_map(message).collect()
    }

    /// A message without bytes, which is never too long for MPI.
    fn message_to(&self, process: usize, body: GroupMessage) -> Option<Outgoing> {
        let group = self.group;
        encode(&Envelope { group, body }, &[])
            .ok()
            .map(|message| (process, message))
    }
}
