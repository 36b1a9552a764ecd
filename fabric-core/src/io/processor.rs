//! What a thread has had of its processor.

use std::time::Duration;

/// Whether [`time`] tells anything.
pub(crate) const TELLS_TIME: bool = cfg!(fabric_linux);

/// For how long this thread has had a processor, where that can be told.
#[cfg(fabric_linux)]
pub(crate) fn time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().ok()
}

#[cfg(not(fabric_linux))]
pub(crate) fn time() -> Option<Duration> {
    None
}
