//! The end of a command that did not do its work: one sentence on standard error, and an exit status.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::text::{is_printable, plain};

/// The exit status of a command that failed.
pub(crate) const FAILED: u8 = 1;

/// The exit status of `verify` and `diff` that failed: 1 says that a checkpoint is damaged, or that two differ.
pub(crate) const TROUBLE: u8 = 2;

/// The reason why a command did not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The program at the other end of the pipe has read enough: nothing is wrong.
    Closed,
    Said {
        text: String,
        /// None for the status of a failure of the command.
        status: Option<u8>,
    },
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Said { text, status: None }
    }

    /// The failure of a call of the library about `path`.
    pub(crate) fn of(path: &Path, error: &dyn Error) -> Self {
        Self::new(sentence(path, error))
    }

    /// The failure with another exit status.
    pub(crate) fn with_status(self, status: u8) -> Self {
        match self {
            Self::Closed => Self::Closed,
            Self::Said { text, .. } => Self::Said {
                text,
                status: Some(status),
            },
        }
    }

    /// Says the failure, and gives the exit status of the process: `failed` if the failure has none of its own.
    pub(crate) fn report(self, failed: u8) -> ExitCode {
        match self {
            Self::Closed => ExitCode::SUCCESS,
            Self::Said { text, status } => {
                say(&text);
                ExitCode::from(status.unwrap_or(failed))
            }
        }
    }
}

/// Writes a line to standard error. A process whose standard error takes nothing still has its exit status.
pub(crate) fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "ckpt: {text}");
}

/// Output that cannot be written.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::new(format!("cannot write the output: {error}")),
        }
    }
}

/// An error and its causes as one sentence that names the path.
pub(crate) fn sentence(path: &Path, error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    let name = plain(&path.to_string_lossy()).into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text: String = lines.join("; ").chars().filter(|c| is_printable(*c)).collect();
    if text.contains(&name) {
        text
    } else {
        format!("{name}: {text}")
    }
}
