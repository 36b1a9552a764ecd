//! What travels between processes: a header that says what it is, then the bytes it is about.

use std::sync::Arc;
use std::time::Duration;

use bincode::config::{Configuration, Limit, standard};
use serde::{Deserialize, Serialize};

use crate::dist::group::GroupError;
use crate::dist::group::meeting::Call;
use crate::io::pages;

/// Tells groups from each other, in all processes alike.
///
/// All groups share one communicator. Another one for each group would come from a collective call that cannot be given a
/// time; and two groups that are duplicated at once, by two threads in another order in each process, would wait for each
/// other for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct GroupId {
    /// The process that named it, or none for those that all processes name alike.
    maker: Option<usize>,
    number: u64,
}

impl GroupId {
    pub(crate) fn world(number: u64) -> Self {
        Self { maker: None, number }
    }

    pub(crate) fn made_by(process: usize, number: u64) -> Self {
        let maker = Some(process);
        Self { maker, number }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) group: GroupId,
    pub(crate) word: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// To the hub: a rank has come to a step; its bytes follow.
    Come { rank: usize, call: Call, timeout: Duration },
    /// To the hub: a rank will not come any more.
    Leave { rank: usize },
    /// To the hub: a rank cannot do what it was asked for.
    Fail {
        #[serde(with = "GroupErrorOnItsWay")]
        error: GroupError,
    },
    /// From the hub: all have come. What each brought follows, one after the other.
    Done { lengths: Vec<usize>, place: Option<Place> },
    /// From the hub: the group has failed.
    Broken {
        #[serde(with = "GroupErrorOnItsWay")]
        error: GroupError,
    },
    /// From the hub, its last word: all ranks have left.
    Closed,
}

/// The place of a process in a group: which one, whom with (as numbers of processes, in the order of ranks), and as which
/// rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) group: GroupId,
    pub(crate) members: Vec<usize>,
    pub(crate) rank: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GroupError")]
enum GroupErrorOnItsWay {
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

/// The number of bytes before the header: its length.
const PREFIX: usize = size_of::<u64>();

/// The largest header: names of steps, and two numbers for each rank.
const LIMIT: usize = 1 << 28;

fn config() -> Configuration<bincode::config::LittleEndian, bincode::config::Varint, Limit<LIMIT>> {
    standard().with_limit::<LIMIT>()
}

/// A message as MPI carries it, or why it cannot: its length is a C `int` there.
pub(crate) fn encode(header: &Header, parts: &[Vec<u8>]) -> Result<Arc<[u8]>, String> {
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

/// The parts of a message, or nothing if it is none.
pub(crate) fn decode(message: &[u8]) -> Option<(Header, &[u8])> {
    let (length, rest) = message.split_first_chunk::<PREFIX>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (header, bytes) = rest.split_at_checked(length)?;
    let (header, used) = bincode::serde::decode_from_slice(header, config()).ok()?;
    (used == length).then_some((header, bytes))
}

/// The bytes behind a [`Word::Done`], cut into the message of each rank; an error if the lengths are not those, or if there is no
/// memory for the parts.
pub(crate) fn cut(mut bytes: &[u8], lengths: &[usize]) -> Result<Vec<Vec<u8>>, String> {
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
    use crate::dist::group::meeting::Operation;

    fn header(word: Word) -> Header {
        let group = GroupId::made_by(3, 9);
        Header { group, word }
    }

    #[test]
    fn every_word_survives_the_way() {
        let error = GroupError::Timeout {
            step: "save".into(),
            missing: vec![1, 2],
            after: Duration::from_millis(7),
        };
        let place = Place {
            group: GroupId::world(1),
            members: vec![2, 0],
            rank: 1,
        };
        let call = Call::new("save", Operation::Broadcast { root: 4 });
        let words = [
            Word::Come {
                rank: 1,
                call,
                timeout: Duration::MAX,
            },
            Word::Leave { rank: 0 },
            Word::Fail { error: error.clone() },
            Word::Done {
                lengths: vec![1, 0, 2],
                place: Some(place),
            },
            Word::Broken { error },
            Word::Closed,
        ];
        for word in words.map(header) {
            let message = encode(&word, &[vec![1], vec![], vec![2, 3]]).unwrap();
            assert_eq!(decode(&message), Some((word, &[1, 2, 3][..])));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let message = encode(&header(Word::Closed), &[]).unwrap();
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
