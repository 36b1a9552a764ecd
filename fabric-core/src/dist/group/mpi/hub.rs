//! Where the messages of a group meet: at the process of its first rank.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::frame::{GroupId, Header, Place, Word, encode};
use crate::dist::group::GroupError;
use crate::dist::group::meeting::{Call, Complete, Meeting, Operation, decode_colors, split};

/// A message, and the process that it is for.
pub(crate) type Letter = (usize, Arc<[u8]>);

pub(crate) struct Hub {
    group: GroupId,
    members: Vec<usize>,
    meeting: Meeting,
    /// When each rank that has come will wait no longer, and how long it has waited then.
    deadlines: Vec<Option<(Instant, Duration)>>,
    failure_is_told: bool,
}

impl Hub {
    pub(crate) fn new(place: &Place) -> Self {
        let world_size = place.members.len();
        Self {
            group: place.group,
            members: place.members.clone(),
            meeting: Meeting::new(world_size),
            deadlines: vec![None; world_size],
            failure_is_told: false,
        }
    }

    /// Whether process `from` is rank `rank` of this group.
    pub(crate) fn knows(&self, rank: usize, from: usize) -> bool {
        self.members.get(rank) == Some(&from)
    }

    /// Rank `rank` comes to a step; `name` gives names to the groups that it makes.
    pub(crate) fn come(
        &mut self,
        (rank, call, timeout): (usize, Call, Duration),
        bytes: Vec<u8>,
        name: impl FnMut() -> GroupId,
    ) -> Vec<Letter> {
        match self.meeting.arrive(rank, call, bytes) {
            Ok(None) => {
                self.deadlines[rank] = Instant::now().checked_add(timeout).map(|end| (end, timeout));
                Vec::new()
            }
            Ok(Some(complete)) => self.done(&complete, name),
            Err(_) => self.tell_failure(),
        }
    }

    /// Rank `rank` will not come any more.
    pub(crate) fn leave(&mut self, rank: usize) -> Vec<Letter> {
        self.meeting.leave(rank);
        if self.meeting.is_deserted() {
            return self.to_all(|_| Word::Closed);
        }
        self.tell_failure()
    }

    pub(crate) fn fail(&mut self, error: GroupError) -> Vec<Letter> {
        self.meeting.fail(error);
        self.tell_failure()
    }

    /// Whether all have left, and nothing will come any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.meeting.is_deserted()
    }

    /// Whether somebody waits here.
    pub(crate) fn is_busy(&self) -> bool {
        self.deadlines.iter().any(Option::is_some)
    }

    /// Gives up for the rank whose time has passed.
    pub(crate) fn keep_time(&mut self, now: Instant) -> Vec<Letter> {
        let passed = |deadline: &Option<(Instant, Duration)>| deadline.is_some_and(|(end, _)| end <= now);
        let Some(rank) = self.deadlines.iter().position(passed) else {
            return Vec::new();
        };
        if let Some((_, after)) = self.deadlines[rank] {
            self.meeting.give_up(rank, after);
        }
        self.tell_failure()
    }

    fn done(&mut self, complete: &Complete, mut name: impl FnMut() -> GroupId) -> Vec<Letter> {
        self.deadlines.fill(None);
        let everyone = (0..self.members.len()).collect();
        let groups = match complete.call.operation {
            Operation::Duplicate => vec![everyone],
            Operation::Split => split(&decode_colors(&complete.bytes).unwrap_or_default()),
            _ => return self.hand_out(complete),
        };
        let mut letters = Vec::new();
        for ranks in groups {
            let group = name();
            let members: Vec<usize> = ranks.iter().map(|&rank| self.members[rank]).collect();
            for (rank, &process) in members.iter().enumerate() {
                let members = members.clone();
                let place = Some(Place { group, members, rank });
                let lengths = Vec::new();
                letters.extend(self.letter(process, Word::Done { lengths, place }));
            }
        }
        letters
    }

    /// What each brought, to all: one message, which is sent as often as there are ranks.
    fn hand_out(&mut self, complete: &Complete) -> Vec<Letter> {
        let header = Header {
            group: self.group,
            word: Word::Done {
                lengths: complete.bytes.iter().map(Vec::len).collect(),
                place: None,
            },
        };
        match encode(&header, &complete.bytes) {
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

    /// Tells all, once, if the group has failed.
    fn tell_failure(&mut self) -> Vec<Letter> {
        if self.meeting.check(0).is_ok() || self.failure_is_told {
            return Vec::new();
        }
        self.failure_is_told = true;
        self.deadlines.fill(None);
        self.to_all(|rank| match self.meeting.check(rank) {
            Err(error) => Word::Broken { error },
            Ok(()) => Word::Closed,
        })
    }

    fn to_all(&self, word: impl Fn(usize) -> Word) -> Vec<Letter> {
        let letter = |(rank, &process)| self.letter(process, word(rank));
        self.members.iter().enumerate().filter_map(letter).collect()
    }

    /// A message without bytes, which is never too long for MPI.
    fn letter(&self, process: usize, word: Word) -> Option<Letter> {
        let group = self.group;
        encode(&Header { group, word }, &[])
            .ok()
            .map(|message| (process, message))
    }
}
