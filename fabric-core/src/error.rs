//! What can go wrong, said so that a person can act on it.

mod group;
mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::group::GroupError;
pub use self::state::StateError;
use crate::entry::{entries, shown, shown_path};
use crate::report::LoadReport;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a checkpoint was not saved or not loaded.
///
/// A load that is refused has changed nothing. [`Error::report`] gives the findings of a load that did not match.
///
/// The text of an error is complete: it holds the system's or candle's own text, so [`source`](std::error::Error::source)
/// does not return that error a second time, and a chain that prints every source says each thing once. Match on the
/// variant to reach it: [`Error::Io`] has the system's error in its field `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing at the path.
    #[error("no checkpoint at {}: {hint}", shown_path(path))]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
        /// What was found instead, or what to try.
        hint: String,
    },

    /// The operating system refused an operation.
    #[error("could not {operation} {}: {source}", shown_path(path))]
    Io {
        /// What was attempted, as a verb: `"write"`, `"rename"`.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's own error.
        r#source: io::Error,
    },

    /// The bytes are not what a writer of this format leaves: damaged, cut short, or made to mislead.
    #[error("{} is damaged: {what}", shown_path(path))]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// The place and the finding.
        what: String,
    },

    /// The bytes of an entry are not those that were saved.
    #[error(
        "{} is damaged: entry `{}`, block {block} (bytes {start}..{end} of the file) does not match its checksum",
        shown_path(path),
        shown(entry)
    )]
    Checksum {
        /// The damaged file.
        path: PathBuf,
        /// The entry that the bytes belong to.
        entry: String,
        /// Which block of the entry, counted from 0.
        block: usize,
        /// The first byte of the block in the file.
        start: u64,
        /// The byte after the block in the file.
        end: u64,
    },

    /// Bytes turned out bad when some entries had already been written.
    #[error(
        "{source}; {} had been restored before it was found, values had not: load a sound checkpoint before the run goes on; \
         LoadOptions::verify_first(true) checks every byte before the first write",
        entries(written.len())
    )]
    Interrupted {
        /// The entries that hold new contents, complete or in part.
        written: Vec<String>,
        /// What stopped the load.
        r#source: Box<Error>,
    },

    /// The file was written by a newer version of this format.
    #[error(
        "{} is of format version {found}, and this library reads up to {supported}; update fabric-core to open it",
        shown_path(path)
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version that the file says it is of.
        found: u16,
        /// The newest version that this library knows.
        supported: u16,
    },

    /// The file is of a format that this library does not read.
    #[error("{} is no checkpoint that can be read: {what}", shown_path(path))]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it looks like, and what would help.
        what: String,
    },

    /// The checkpoint and the state do not match; nothing was changed.
    #[error("{0}")]
    Mismatch(Box<LoadReport>),

    /// The state itself cannot be saved or loaded under its names.
    #[error(transparent)]
    State(#[from] StateError),

    /// The raw checkpoint has no such entry.
    #[error("no entry `{}` in {origin}{suggestion}", shown(name))]
    NoSuchEntry {
        /// The name that was asked for.
        name: String,
        /// The checkpoint.
        origin: String,
        /// Names that come near, as a clause of the sentence; empty if none does.
        suggestion: String,
    },

    /// An entry is not of the type that was asked for.
    #[error("entry `{}` {what}", shown(name))]
    WrongType {
        /// The entry.
        name: String,
        /// What was found and what was expected.
        what: String,
    },

    /// Candle refused an operation on a tensor.
    #[error("entry `{}`: {source}", shown(name))]
    Candle {
        /// The entry.
        name: String,
        /// Candle's own error.
        r#source: candle_core::Error,
    },

    /// A [`LoadOptions::rename`](crate::LoadOptions::rename) that finds no entry. Nothing was changed.
    #[error(
        "LoadOptions::rename({from:?}, {to:?}) finds nothing: {origin} has no entry `{}`, and none below it; {hint}",
        shown(from)
    )]
    NothingToRename {
        /// The name that the checkpoint lacks.
        from: String,
        /// The name that it was to be given.
        to: String,
        /// The checkpoint.
        origin: String,
        /// The names that the checkpoint has instead, and the option that helps.
        hint: String,
    },

    /// An argument or an option that cannot be met, or options that contradict each other.
    #[error("{0}")]
    Options(String),

    /// A checkpoint cannot be saved at this path. Nothing was written, and what was there is still there.
    #[error("cannot save to {}: {what}", shown_path(path))]
    Destination {
        /// The path that the caller gave.
        path: PathBuf,
        /// The obstacle, and the way around it.
        what: String,
    },

    /// The strategy is not possible, or does not fit the process group.
    #[error("{0}")]
    Strategy(String),

    /// Another rank's message cannot be decoded.
    #[error(
        "another rank's message cannot be read: {0}; all ranks must run the same program, built with the same version of \
         fabric-core"
    )]
    Protocol(String),

    /// The file asks for more memory or time than this library gives to a file by default. Nothing says that it is damaged.
    #[error("{} asks for more than is given by default: {what}", shown_path(path))]
    Limit {
        /// The file.
        path: PathBuf,
        /// Which bound was hit, what the file asks for, and the option that raises the bound.
        what: String,
    },

    /// The system does not have the memory that a call needs. What was saved before is still there.
    #[error("there is not enough memory to {purpose}: {source}")]
    Memory {
        /// The purpose of the memory, as a verb and its object: `"copy tensors"`.
        purpose: String,
        /// The system's own error.
        r#source: io::Error,
    },

    /// A progress callback, a filter or an implementation of `Checkpoint` called the Fabric that it was called by. The call
    /// has done nothing: it would have waited for itself.
    #[error(
        "{call} was called within another call of the same Fabric or of a clone, by a progress callback, a filter or an \
         implementation of Checkpoint, and would wait for itself; make the call when the other one has returned, or build \
         another Fabric for it"
    )]
    Nested {
        /// The call that was refused: `"Fabric::load"`.
        call: &'static str,
    },

    /// The caller's callback for progress panicked.
    #[error("the callback for progress panicked: {0}")]
    Callback(String),

    /// The result of this save in the background was already returned by an earlier call.
    #[error(
        "the result of the save to {} was already returned by an earlier call",
        shown_path(path)
    )]
    AlreadyReturned {
        /// Where it saved to.
        path: PathBuf,
    },

    /// A mistake in this library. Nothing that was saved before is lost.
    #[error("this is a mistake in fabric-core, please report it: {0}")]
    Internal(String),

    /// The ranks did not come together. Nothing that was there before is lost.
    #[error(transparent)]
    Group(#[from] GroupError),

    /// The ranks are not about to do the same, or hold different replicas of a tensor or a value
    /// ([`Replicas`](crate::Replicas)).
    #[error("rank {rank} does not agree with rank 0: {what}")]
    Disagreement {
        /// The first rank that differs.
        rank: usize,
        /// In what.
        what: String,
    },

    /// An earlier save in the background failed, and nobody had waited for it. The call that returns this has done nothing
    /// of its own.
    #[error(
        "the earlier save in the background to {} failed: {source}; this call did nothing else, so repeat it",
        shown_path(path)
    )]
    Background {
        /// Where it was to save to; what was there before is still there.
        path: PathBuf,
        /// Why it failed.
        r#source: Arc<Error>,
    },

    /// A save in the background is on its way, and the call asked for no other one beside it
    /// ([`WhenBusy::Fail`](crate::WhenBusy::Fail)).
    #[error(
        "the save to {} is still on its way; wait for it with Saving::wait, or call with \
         SaveOptions::when_busy(WhenBusy::Wait) or SaveOptions::when_busy(WhenBusy::Skip)",
        shown_path(path)
    )]
    Busy {
        /// Where it saves to.
        path: PathBuf,
    },

    /// A thread that saved in the background panicked. What was there before is still there.
    #[error(
        "a thread that saved in the background panicked: {what}; what was saved before is still there, so save again"
    )]
    Panicked {
        /// The panic's message.
        what: String,
    },

    /// Another rank failed, and so this one does not go on: every rank gets the same verdict.
    #[error("rank {rank} failed at `{step}`: {message}")]
    Rank {
        /// The first rank that failed.
        rank: usize,
        /// What the ranks were doing.
        step: String,
        /// Its own error.
        message: String,
    },
}

impl Error {
    /// The findings of a load that did not match.
    #[must_use]
    pub fn report(&self) -> Option<&LoadReport> {
        match self {
            Self::Mismatch(report) => Some(report),
            _ => None,
        }
    }

    /// The path that the error is about.
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
            _ => None,
        }
    }

    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_path_buf(),
            what: what.into(),
        }
    }

    pub(crate) fn destination(path: &Path, what: impl Into<String>) -> Self {
        Self::Destination {
            path: path.to_path_buf(),
            what: what.into(),
        }
    }

    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            operation,
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn candle(name: &str) -> impl FnOnce(candle_core::Error) -> Self {
        move |source| Self::Candle {
            name: name.to_owned(),
            source,
        }
    }
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
