//! The findings about the bytes of a delta.

/// The reason why bytes are not a delta, or are a damaged one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeltaError {
    #[error("it ends at byte {len}, and {part} goes on")]
    TooShort { part: &'static str, len: u64 },
    #[error(
        "it begins with the bytes {found:02x?}, and a delta begins with {:02x?}",
        super::MAGIC
    )]
    Magic { found: Vec<u8> },
    #[error("bytes 12..20 give the head {claimed} bytes, and {left} follow")]
    HeadPastEnd { claimed: u64, left: u64 },
    #[error("its head does not match its checksum")]
    HeadChecksum,
    #[error("it has the version 0, which does not exist")]
    Version,
    #[error("it is of version {found}, and this library reads up to {supported}")]
    Newer { found: u16, supported: u16 },
    #[error("its head cannot be decoded: {0}")]
    Head(String),
    #[error(
        "it gives the header of the new file {len} bytes, {padding} of them spaces; a header has fewer than 8192 spaces"
    )]
    Padding { len: u64, padding: u64 },
    #[error("the frame at byte {at} has the form {form}, which does not exist")]
    Form { at: u64, form: u8 },
    #[error("the frame at byte {at} claims {len} bytes for a block of {block}")]
    Length { at: u64, len: u32, block: usize },
    #[error("the frame at byte {at} does not match its checksum")]
    Checksum { at: u64 },
    #[error("the frame at byte {at}, of a tensor that the base lacks, refers to the base")]
    NoBase { at: u64 },
    #[error("the frame at byte {at} does not decode to a block of {block} bytes")]
    Changes { at: u64, block: usize },
    #[error("the frame at byte {at} makes a block that does not match its checksum")]
    Result { at: u64 },
    #[error("{0} bytes follow its last frame")]
    Stray(u64),
}
