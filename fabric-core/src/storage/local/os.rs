//! The calls of the standard library that differ between Unix and Windows. No other file of `storage` asks which of the two it is.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use unix::*;
#[cfg(windows)]
pub(super) use windows::*;
