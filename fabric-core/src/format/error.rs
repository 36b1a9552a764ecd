//! The errors of manifests.

use std::io;

use super::envelope::{AROUND, MAGIC, MAX_LEN};
use crate::error::Error;

/// The reason why bytes are not a manifest, or why a manifest cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("the manifest has {len} bytes, and the shortest has {AROUND}")]
    TooShort { len: usize },
    #[error("the manifest begins with {found:02x?} instead of {MAGIC:02x?}")]
    Magic { found: [u8; 8] },
    #[error("the manifest gives its payload {claimed} bytes, and has {found} for it")]
    Length { claimed: u64, found: u64 },
    #[error("the manifest has {len} bytes, and more than {MAX_LEN} are refused")]
    TooLong { len: u64 },
    #[error("the manifest does not match its checksum")]
    Checksum,
    #[error("the manifest is of format version {found}, and this library reads up to {supported}")]
    Newer { found: u16, supported: u16 },
    #[error("the manifest says format version {found}, which is invalid")]
    Version { found: u16 },
    #[error("the manifest's payload cannot be read: {0}")]
    Payload(String),
    #[error("the manifest's payload is followed by {0} stray bytes")]
    Stray(usize),
    #[error("the manifest contradicts itself: {0}")]
    Invalid(String),
    #[error("{0}")]
    NoMemory(String),
    /// Contents of a later version, for which this format has a field.
    #[error(
        "the manifest says {0}, which this version of the library does not read; read the checkpoint with the version that wrote it"
    )]
    Unsupported(String),
}

impl ManifestError {
    /// The error of a save whose manifest cannot be written.
    pub(crate) fn at_save(self) -> Error {
        match self {
            Self::NoMemory(what) => Error::Memory {
                purpose: "write the manifest of the checkpoint".to_owned(),
                source: io::Error::new(io::ErrorKind::OutOfMemory, what),
            },
            other => Error::Internal(other.to_string()),
        }
    }
}
