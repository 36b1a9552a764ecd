//! The messages between processes: an envelope with the kind of the message, and the bytes of a step behind it.

use std::sync::Arc;
use std::time::Duration;

use bincode::config::{Configuration, Limit, standard};
use serde::{Deserialize, Serialize};

use crate::dist::group::GroupError;
use crate::dist::group::rendezvous::Call;
use crate::io::pages;

/// The identity of a group, equal in all processes.
///
/// All groups share one communicator. A communicator for each group would need a collective call without a timeout; and
/// two groups that two threads duplicate at once, in another order in each process, would wait for each other for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct GroupId {
    /// The process that named the group; `None` for a group of all processes.
    maker: Option<usize>,
    number: u64,
}

impl GroupId {
    pub(super) fn world(number: u64) -> Self {
        Self { maker: None, number }
    }

    pub(super) fn made_by(process: usize, number: u64) -> Self {
        let maker = Some(process);
        Self { maker, number }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) group: GroupId,
    pub(super) body: GroupMessage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum GroupMessage {
    /// To the coordinator: a rank has arrived at a step; its bytes follow.
    Arrive { rank: usize, call: Call, timeout: Duration },
    /// To the coordinator: a rank has left the group.
    Leave { rank: usize },
    /// To the coordinator: a rank has failed, and so has the group.
    Fail {
        #[serde(with = "GroupErrorRecord")]
        error: GroupError,
    },
    /// From the coordinator: all ranks have arrived. The bytes of each follow, in the order of ranks.
    Done { lengths: Vec<usize>, seat: Option<Seat> },
    /// From the coordinator: the group has failed.
    Broken {
        #[serde(with = "GroupErrorRecord")]
        error: GroupError,
    },
    /// From the coordinator, its last message: all ranks have left.
    Closed,
}

/// The membership of a process: the group, the numbers of its processes in the order of ranks, and the rank of this
/// process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seat {
    pub(super) group: GroupId,
    pub(super) members: Vec<usize>,
    pub(super) rank: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GroupError")]
enum GroupErrorRecord {
    Timeout {
        step: String,
        missing: Vec<usize>,
        after: Duration,
    },
    Left {
        step: String,
        left: Vec<usize>,
    },
    OutOfStep {
        step: String,
        rank: usize,
        other: String,
    },
    NoSuchRank {
        step: String,
        rank: usize,
        world_size: usize,
    },
    Engine {
        step: String,
        what: String,
    },
}

/// The length of the length of the envelope, in bytes.
const PREFIX: usize = size_of::<u64>();

/// The longest envelope: it has the name of a step, and two numbers for each rank.
const LIMIT: usize = 1 << 28;

fn config() -> Configuration<bincode::config::LittleEndian, bincode::config::Varint, Limit<LIMIT>> {
    standard().with_limit::<LIMIT>()
}

/// Encodes a message. The error says that it is too long: MPI counts its bytes with a C `int`.
pub(super) fn encode(header: &Envelope, parts: &[Vec<u8>]) -> Result<Arc<[u8]>, String> {
    let header = bincode::serde::encode_to_vec(header, config()).map_err(|error| error.to_string())?;
    let length = PREFIX + header.len() + parts.iter().map(Vec::len).sum::<usize>();
    if i32::try_from(length).is_err() {
        return Err(format!(
            "a message would have {length} bytes, and MPI carries {}",
            i32::MAX
        ));
    }
    // Once more, for as long as the message moves to where it is shared.
    pages::look(length.saturating_mul(2)).map_err(|error| error.to_string())?;
    let prefix = (header.len() as u64).to_le_bytes();
    let parts = parts.iter().map(Vec::as_slice);
    let all: Vec<&[u8]> = [&prefix[..], &header].into_iter().chain(parts).collect();
    Ok(all.concat().into())
}

/// Decodes a message; `None` if it is malformed.
pub(super) fn decode(message: &[u8]) -> Option<(Envelope, &[u8])> {
    let (length, rest) = message.split_first_chunk::<PREFIX>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (header, bytes) = rest.split_at_checked(length)?;
    let (header, used) = bincode::serde::decode_from_slice(header, config()).ok()?;
    (used == length).then_some((header, bytes))
}

/// Splits the bytes behind a [`GroupMessage::Done`] into the message of each rank. The error says that the lengths do
/// not fit the bytes, or that there is no memory.
pub(super) fn cut(mut bytes: &[u8], lengths: &[usize]) -> Result<Vec<Vec<u8>>, String> {
    let torn = || "what came back is not whole".to_owned();
    let mut parts = Vec::with_capacity(lengths.len().min(bytes.len() + 1));
    for &length in lengths {
        let (part, rest) = bytes.split_at_checked(length).ok_or_else(torn)?;
        parts.push(pages::copied(part).map_err(|error| error.to_string())?);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(parts) } else { Err(torn()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::group::rendezvous::Operation;

    fn envelope(body: GroupMessage) -> Envelope {
        let group = GroupId::made_by(3, 9);
        Envelope { group, body }
    }

    #[test]
    fn every_word_survives_the_way() {
        let error = GroupError::Timeout {
            step: "save".into(),
            missing: vec![1, 2],
            after: Duration::from_millis(7),
        };
        let seat = Seat {
            group: GroupId::world(1),
            members: vec![2, 0],
            rank: 1,
        };
        let call = Call::new("save", Operation::Broadcast { root: 4 });
        let bodies = [
            GroupMessage::Arrive {
                rank: 1,
                call,
                timeout: Duration::MAX,
            },
            GroupMessage::Leave { rank: 0 },
            GroupMessage::Fail { error: error.clone() },
            GroupMessage::Done {
                lengths: vec![1, 0, 2],
                seat: Some(seat),
            },
            GroupMessage::Broken { error },
            GroupMessage::Closed,
        ];
        for body in bodies.map(envelope) {
            let message = encode(&body, &[vec![1], vec![], vec![2, 3]]).unwrap();
            assert_eq!(decode(&message), Some((body, &[1, 2, 3][..])));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let message = encode(&envelope(GroupMessage::Closed), &[]).unwrap();
        for end in 0..message.len() {
            assert_eq!(decode(&message[..end]), None);
        }
        assert_eq!(decode(&[255; 64]), None);
    }

    #[test]
    fn bytes_are_cut_where_the_lengths_say() {
        assert_eq!(cut(&[1, 2, 3], &[1, 0, 2]), Ok(vec![vec![1], vec![], vec![2, 3]]));
        assert!(cut(&[1, 2, 3], &[1, 1]).is_err());
        assert!(cut(&[1], &[usize::MAX]).is_err());
    }
}
