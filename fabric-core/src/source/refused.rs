//! Why a reader does not take what it is given: three different things to the person who reads the message.

use std::path::Path;

use super::limit::OverLimit;
use crate::error::Error;

/// A refusal, in the words of a reader that does not know the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is not what a writer of the format leaves: damaged, cut short, or made to mislead.
    Damaged(String),
    /// It may well be whole, and this library does not read it.
    Unknown(String),
    /// It asks for more than is given.
    Limit(String),
    /// The system has not as much memory.
    NoMemory,
}

impl Refused {
    pub(crate) fn unknown(what: impl Into<String>) -> Self {
        Self::Unknown(what.into())
    }

    /// The refusal of bytes whose checksum is right: nothing has damaged them since they were written.
    pub(crate) fn of_verified(self) -> Self {
        match self {
            Self::Damaged(what) => Self::Unknown(format!(
                "{what}; its checksum is right, so it is as it was written, and not in a form that is read: load it in Python and \
                 save a state dict with torch.save, or as safetensors"
            )),
            other => other,
        }
    }

    /// The refusal with a sentence added.
    pub(crate) fn said(self, say: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Damaged(what) => Self::Damaged(say(what)),
            Self::Unknown(what) => Self::Unknown(say(what)),
            Self::Limit(what) => Self::Limit(what),
            Self::NoMemory => Self::NoMemory,
        }
    }

    /// The error, now that the path is known.
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
