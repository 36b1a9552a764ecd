//! The errors of process groups.

use std::time::Duration;

/// The reason why a step of a process group failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Some ranks did not arrive at a step before the timeout.
    #[error(
        "at step `{step}`, {} did not arrive within {after:?}, and the group has failed; if these ranks are slow, raise the \
         group's timeout; if they are stuck or gone, restart all ranks from the last checkpoint",
        ranks(missing)
    )]
    Timeout {
        /// The step at which the other ranks waited.
        step: String,
        /// The missing ranks, in order.
        missing: Vec<usize>,
        /// The timeout.
        after: Duration,
    },

    /// Some ranks have left the group: they dropped their handles, ended or panicked.
    #[error(
        "at step `{step}`, {} had left the group, which has failed: they dropped their handles, ended or panicked; restart all \
         ranks from the last checkpoint",
        ranks(left)
    )]
    Left {
        /// The step at which the other ranks waited.
        step: String,
        /// The ranks that have left, in order.
        left: Vec<usize>,
    },

    /// A rank is at another step: the ranks make different calls, or make them in different orders.
    #[error(
        "at step `{step}`, rank {rank} was at step `{other}`, and the group has failed; all ranks must make the same calls in \
         the same order"
    )]
    OutOfStep {
        /// The step of this rank.
        step: String,
        /// A rank at another step.
        rank: usize,
        /// The step of that rank.
        other: String,
    },

    /// The group does not have a requested rank.
    #[error("at step `{step}`, rank {rank} was requested, and the group has {world_size} ranks, numbered from 0")]
    NoSuchRank {
        /// The step.
        step: String,
        /// The requested rank.
        rank: usize,
        /// The number of ranks.
        world_size: usize,
    },

    /// The communication library under the group failed, or cannot carry out the step.
    #[error("at step `{step}`, {what}")]
    Engine {
        /// The step.
        step: String,
        /// The error of the communication library.
        what: String,
    },
}

/// The ranks in words: `"rank 3"`, `"ranks 1, 2"`.
fn ranks(ranks: &[usize]) -> String {
    let list: Vec<String> = ranks.iter().map(ToString::to_string).collect();
    match list.as_slice() {
        [one] => format!("rank {one}"),
        _ => format!("ranks {}", list.join(", ")),
    }
}
