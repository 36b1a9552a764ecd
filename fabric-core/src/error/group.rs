//! Why ranks did not come together.

use std::time::Duration;

/// Why a step of a process group failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Ranks did not come in time.
    #[error(
        "at `{step}`, {} did not come within {after:?}; they are busy, stuck or gone, or have failed before",
        ranks(missing)
    )]
    Timeout {
        /// The step that the others waited at.
        step: String,
        /// The ranks that did not come, in order.
        missing: Vec<usize>,
        /// How long they were waited for.
        after: Duration,
    },

    /// Ranks are gone: their threads have ended, or panicked.
    #[error("at `{step}`, {} had left the group", ranks(left))]
    Left {
        /// The step that the others waited at.
        step: String,
        /// The ranks that are gone, in order.
        left: Vec<usize>,
    },

    /// A rank is at another step: the ranks do not make the same calls in the same order.
    #[error("at `{step}`, rank {rank} was at `{other}`; all ranks must make the same calls in the same order")]
    OutOfStep {
        /// The step of this rank.
        step: String,
        /// A rank that is elsewhere.
        rank: usize,
        /// The step that it is at.
        other: String,
    },

    /// A rank that the group does not have.
    #[error("at `{step}`, rank {rank} was asked for, and there are {world_size}, counted from 0")]
    NoSuchRank {
        /// The step.
        step: String,
        /// The rank that was asked for.
        rank: usize,
        /// How many there are.
        world_size: usize,
    },

    /// The engine under the group failed, or cannot do what was asked.
    #[error("at `{step}`, {what}")]
    Engine {
        /// The step.
        step: String,
        /// What the engine says.
        what: String,
    },
}

/// `"rank 3"`, `"ranks 1, 2"`.
fn ranks(ranks: &[usize]) -> String {
    let list: Vec<String> = ranks.iter().map(ToString::to_string).collect();
    match list.as_slice() {
        [one] => format!("rank {one}"),
        _ => format!("ranks {}", list.join(", ")),
    }
}
