//! The processor time of a thread.

use std::time::Duration;

/// True if [`time`] is available.
pub(crate) const TELLS_TIME: bool = cfg!(fabric_linux);

/// The processor time that this thread has used; `None` if the system does not tell.
#[cfg(fabric_linux)]
pub(crate) fn time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().ok()
}

#[cfg(not(fabric_linux))]
pub(crate) fn time() -> Option<Duration> {
    None
}
