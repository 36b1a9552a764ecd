//! The errors of this crate. Each message says how to resolve the error.

mod constructors;
mod group;
mod migration;
mod state;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub use self::group::GroupError;
pub use self::migration::MigrationError;
pub use self::state::StateError;
use crate::entry::{entries, shown, shown_path};
use crate::report::LoadReport;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a checkpoint was not saved or not loaded.
///
/// A load that is refused has changed nothing. [`Error::report`] returns the findings of a load whose checkpoint and
/// state do not match.
///
/// The message of an error is complete: it contains the message of the system or of candle. So
/// [`source`](std::error::Error::source) does not return that error again, and a report that prints the whole chain
/// repeats nothing. To get the system's error, match on the variant: [`Error::Io`] has it in its field `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path has no file or directory.
    #[error("no checkpoint at {}: {hint}", shown_path(path))]
    NotFound {
        /// The path.
        path: PathBuf,
        /// The files found instead, or the call to try.
        hint: String,
    },

    /// The system refused an operation.
    #[error("could not {operation} {}: {source}", shown_path(path))]
    Io {
        /// The operation, as a verb: `"write"`, `"rename"`.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        r#source: io::Error,
    },

    /// A file does not have the format of a checkpoint: it is damaged, truncated or manipulated.
    #[error("{} is damaged: {what}", shown_path(path))]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// The place of the damage, and the finding.
        what: String,
    },

    /// The bytes of an entry do not match their checksum.
    #[error(
        "{} is damaged: entry `{}`, block {block} (bytes {start}..{end} of the file) does not match its checksum",
        shown_path(path),
        shown(entry)
    )]
    Checksum {
        /// The damaged file.
        path: PathBuf,
        /// The entry that contains the bytes.
        entry: String,
        /// The number of the block in the entry, from 0.
        block: usize,
        /// The offset of the block's first byte in the file.
        start: u64,
        /// The offset of the byte after the block in the file.
        end: u64,
    },

    /// A load found damage after it had overwritten some tensors. Load an undamaged checkpoint before the run
    /// continues.
    #[error(
        "{source}; the load had already overwritten {}, and no value: load an undamaged checkpoint before the run continues; \
         LoadOptions::verify_first(true) verifies every byte before a load overwrites anything",
        entries(written.len())
    )]
    Interrupted {
        /// The entries that hold new contents, in whole or in part.
        written: Vec<String>,
        /// The error that stopped the load.
        r#source: Box<Error>,
    },

    /// A newer version of this library wrote the file.
    #[error(
        "{} is of format version {found}, and this library reads up to {supported}; update fabric-core to open it",
        shown_path(path)
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format version of the file.
        found: u16,
        /// The newest format version that this library reads.
        supported: u16,
    },

    /// The file has a format that this library does not read.
    #[error("{} is no checkpoint that can be read: {what}", shown_path(path))]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The format that the file seems to have, and a way to load it.
        what: String,
    },

    /// The checkpoint and the state do not match. Nothing was changed.
    #[error("{0}")]
    Mismatch(Box<LoadReport>),

    /// The recipe of a struct, or of a call, does not fit the file. Nothing was changed.
    #[error("{0}")]
    Migration(Box<MigrationError>),

    /// A delta was made against another file than the one that it is applied to, or that file is damaged. Nothing was changed.
    #[error(
        "{} is not the base of the delta {}, or is damaged: {what}; the delta was made against a file named `{}`, so apply it \
         to that file, or write a full file with Fabric::export",
        shown_path(base),
        shown_path(delta),
        shown(made_against)
    )]
    WrongBase {
        /// The file that the delta was to be applied to.
        base: PathBuf,
        /// The delta.
        delta: PathBuf,
        /// The name of the file that the delta was made against.
        made_against: String,
        /// The difference between the two files.
        what: String,
    },

    /// The state cannot be saved or loaded under its names.
    #[error(transparent)]
    State(#[from] StateError),

    /// The checkpoint does not have the requested entry.
    #[error("no entry `{}` in {}{}", shown(name), shown(origin), shown(suggestion))]
    NoSuchEntry {
        /// The requested name.
        name: String,
        /// The checkpoint.
        origin: String,
        /// Similar names in the checkpoint, as a clause of the message; empty if there are none.
        suggestion: String,
    },

    /// An entry does not have the requested type.
    #[error("entry `{}` {}", shown(name), shown(what))]
    WrongType {
        /// The entry.
        name: String,
        /// The type found and the type expected.
        what: String,
    },

    /// Candle refused an operation on a tensor.
    #[error("entry `{}`: {source}", shown(name))]
    Candle {
        /// The entry.
        name: String,
        /// Candle's error.
        r#source: candle_core::Error,
    },

    /// A [`LoadOptions::rename`](crate::LoadOptions::rename) matches no entry of the checkpoint. Nothing was changed.
    #[error(
        "LoadOptions::rename({from:?}, {to:?}) finds nothing: {} has no entry `{}`, and none below it; {}",
        shown(origin),
        shown(from),
        shown(hint)
    )]
    NothingToRename {
        /// The name that the checkpoint lacks.
        from: String,
        /// The name in the state.
        to: String,
        /// The checkpoint.
        origin: String,
        /// Similar names in the checkpoint, and the option to use.
        hint: String,
    },

    /// Another process, or another [`Run`](crate::run::Run) of this one, holds a run. Nothing was changed.
    #[error(
        "the run in {} is already open, in another process or in this one; close it there first: one process at a time writes to a run",
        shown_path(directory)
    )]
    RunInUse {
        /// The directory of the run.
        directory: PathBuf,
    },

    /// The checkpoint of a run is saved, and the work after it failed: other checkpoints were to be removed, or metrics to be
    /// logged. The next save does it again.
    #[error("the checkpoint of step {step} is saved, but the work after the save failed: {source}")]
    Retention {
        /// The step of the checkpoint that is saved.
        step: u64,
        /// The failure.
        r#source: Box<Error>,
    },

    /// A run has checkpoints, and none of them is whole.
    #[error("none of the {} checkpoints in {} is whole; the error of the newest one: {}", damaged.len(), shown_path(directory), newest(damaged))]
    NoneWhole {
        /// The directory of the run.
        directory: PathBuf,
        /// The checkpoints, the newest first, each with the error of reading it.
        damaged: Vec<(PathBuf, Error)>,
    },

    /// An argument or option is invalid, or two options contradict each other.
    #[error("{0}")]
    Options(String),

    /// A checkpoint cannot be saved at this path. Nothing was written, and an earlier checkpoint at the path is
    /// unchanged.
    #[error("cannot save to {}: {what}", shown_path(path))]
    Destination {
        /// The path that the caller gave.
        path: PathBuf,
        /// The reason, and the way to save.
        what: String,
    },

    /// The strategy is impossible, or does not fit the process group.
    #[error("{0}")]
    Strategy(String),

    /// Another rank's message cannot be decoded.
    #[error(
        "another rank's message cannot be read: {0}; all ranks must run the same program, built with the same version of \
         fabric-core"
    )]
    Protocol(String),

    /// The file exceeds a default limit on memory or time. It need not be damaged.
    #[error("{} exceeds a default limit: {what}", shown_path(path))]
    Limit {
        /// The file.
        path: PathBuf,
        /// The limit, the amount that the file needs, and the option that raises the limit.
        what: String,
    },

    /// The system lacks the memory for a call. Earlier checkpoints are unchanged.
    #[error("there is not enough memory to {purpose}: {source}")]
    Memory {
        /// The purpose of the memory, as a verb and its object: `"copy tensors"`.
        purpose: String,
        /// The system's error.
        r#source: io::Error,
    },

    /// A progress callback, a filter or an implementation of `Checkpoint` called the `Fabric` whose call it runs in.
    /// The inner call has done nothing; it would have waited for itself.
    #[error(
        "{call} was called within another call of the same Fabric or of a clone, by a progress callback, a filter or an \
         implementation of Checkpoint, and would wait for itself; make the call when the other one has returned, or build \
         another Fabric for it"
    )]
    Nested {
        /// The refused call, such as `"Fabric::load"`.
        call: &'static str,
    },

    /// The caller's progress callback panicked.
    #[error("the callback for progress panicked: {0}")]
    Callback(String),

    /// An earlier call already returned the result of this background save.
    #[error(
        "the result of the save to {} was already returned by an earlier call",
        shown_path(path)
    )]
    AlreadyReturned {
        /// The path of the save.
        path: PathBuf,
    },

    /// A bug in this library. Earlier checkpoints are unchanged.
    #[error("this is a mistake in fabric-core, please report it: {0}")]
    Internal(String),

    /// A step of the process group failed. Earlier checkpoints are unchanged.
    #[error(transparent)]
    Group(#[from] GroupError),

    /// The ranks made different calls, or hold different replicas of a tensor or a value
    /// ([`Replicas`](crate::Replicas)).
    #[error("rank {rank} does not agree with rank 0: {what}")]
    Disagreement {
        /// The first rank that differs.
        rank: usize,
        /// The difference.
        what: String,
    },

    /// An earlier background save failed, and no call had waited for it. The call that returns this error has done
    /// nothing else.
    #[error(
        "the earlier save in the background to {} failed: {source}; this call did nothing else, so repeat it",
        shown_path(path)
    )]
    Background {
        /// The path of the failed save. An earlier checkpoint there is unchanged.
        path: PathBuf,
        /// The error of the failed save.
        r#source: Arc<Error>,
    },

    /// A background save is still running, and the call did not allow a second one
    /// ([`WhenBusy::Fail`](crate::WhenBusy::Fail)).
    #[error(
        "the save to {} is still running; wait for it with Saving::wait, or call with \
         SaveOptions::when_busy(WhenBusy::Wait) or SaveOptions::when_busy(WhenBusy::Skip)",
        shown_path(path)
    )]
    Busy {
        /// The path of the running save.
        path: PathBuf,
    },

    /// A thread of a background save panicked. An earlier checkpoint at the path is unchanged.
    #[error("a thread that saved in the background panicked: {what}; earlier checkpoints are unchanged, so save again")]
    Panicked {
        /// The message of the panic.
        what: String,
    },

    /// Another rank failed, so this rank stopped as well. Every rank gets the same error.
    #[error("rank {rank} failed at `{step}`: {message}")]
    Rank {
        /// The first rank that failed.
        rank: usize,
        /// The step that the ranks were taking.
        step: String,
        /// The error message of that rank.
        message: String,
    },
}

impl Error {
    /// The findings of a load whose checkpoint and state do not match; `None` for other errors.
    #[must_use]
    pub fn report(&self) -> Option<&LoadReport> {
        match self {
            Self::Mismatch(report) => Some(report),
            _ => None,
        }
    }

    /// The path in the error, if it has one.
    pub(crate) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::NotFound { path, .. }
            | Self::Io { path, .. }
            | Self::Corrupt { path, .. }
            | Self::Checksum { path, .. }
            | Self::NewerFormat { path, .. }
            | Self::UnknownFormat { path, .. }
            | Self::Destination { path, .. }
            | Self::Limit { path, .. } => Some(path),
            Self::WrongBase { base, .. } => Some(base),
            _ => None,
        }
    }
}

/// The error of the first of some checkpoints.
fn newest(damaged: &[(PathBuf, Error)]) -> String {
    damaged.first().map(|(_, error)| error.to_string()).unwrap_or_default()
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
