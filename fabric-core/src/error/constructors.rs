//! Makes the errors that many rooms return.

use std::io;
use std::path::Path;

use super::Error;

impl Error {
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
