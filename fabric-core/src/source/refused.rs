//! The reasons why a reader refuses a file. Their messages give different advice.

use std::path::Path;

use super::limit::OverLimit;
use crate::error::Error;

/// A refusal, without the path, which the reader does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The file is not one that a writer of the format leaves: damaged, cut short, or hostile.
    Damaged(String),
    /// The file may be intact, and this library does not support it.
    Unknown(String),
    /// The file asks for more memory than its bound.
    Limit(String),
    /// The system does not have the memory.
    NoMemory,
}

impl Refused {
    pub(crate) fn unknown(what: impl Into<String>) -> Self {
        Self::Unknown(what.into())
    }

    /// The refusal of bytes with a right checksum, which have not changed since they were written.
    pub(crate) fn of_verified(self) -> Self {
        match self {
            Self::Damaged(what) => Self::Unknown(format!(
                "{what}; its checksum is right, so it is as it was written, and its form is not supported: load it in Python and \
                 save a state dict with torch.save, or as safetensors"
            )),
            other => other,
        }
    }

    /// The refusal with its text changed by `say`.
    pub(crate) fn said(self, say: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Damaged(what) => Self::Damaged(say(what)),
            Self::Unknown(what) => Self::Unknown(say(what)),
            Self::Limit(what) => Self::Limit(what),
            Self::NoMemory => Self::NoMemory,
        }
    }

    /// The error for the file at `path`.
    pub(crate) fn at(self, path: &Path) -> Error {
        let path = path.to_path_buf();
        match self {
            Self::Damaged(what) => Error::Corrupt { path, what },
            Self::Unknown(what) => Error::UnknownFormat { path, what },
            Self::Limit(what) => Error::Limit { path, what },
            Self::NoMemory => Error::io("read", &path)(std::io::ErrorKind::OutOfMemory.into()),
        }
    }
}

impl From<String> for Refused {
    fn from(what: String) -> Self {
        Self::Damaged(what)
    }
}

impl From<&str> for Refused {
    fn from(what: &str) -> Self {
        Self::Damaged(what.to_owned())
    }
}

impl From<OverLimit> for Refused {
    fn from(over: OverLimit) -> Self {
        match over {
            OverLimit::NoMemory => Self::NoMemory,
            over => Self::Limit(over.to_string()),
        }
    }
}
