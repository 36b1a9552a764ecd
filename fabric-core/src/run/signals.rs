//! Signals that ask a training to save and to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{SigId, flag, low_level};

/// The signals that ask for the end.
#[cfg(unix)]
const ASKING: &[i32] = &[SIGTERM, SIGINT, signal_hook::consts::SIGUSR1];
#[cfg(not(unix))]
const ASKING: &[i32] = &[SIGTERM, SIGINT];

/// The signals that the process has received since a run was opened. While this is there, they do not end the process.
#[derive(Debug)]
pub(super) struct Signals {
    received: Arc<AtomicBool>,
    handlers: Vec<SigId>,
    #[cfg(unix)]
    _patience: Option<patience::Patience>,
}

impl Signals {
    /// Listens from now on, until this is dropped.
    ///
    /// # Errors
    /// If the system takes no handler.
    pub(super) fn listen() -> io::Result<Self> {
        let mut signals = Self {
            received: Arc::new(AtomicBool::new(false)),
            handlers: Vec::new(),
            #[cfg(unix)]
            _patience: patience::Patience::begin(),
        };
        for &signal in ASKING {
            let handler = flag::register(signal, signals.received.clone())?;
            signals.handlers.push(handler);
        }
        Ok(signals)
    }

    /// Returns true if the process has received a signal.
    pub(super) fn received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
    }
}

/// Ends the process at a second SIGINT.
#[cfg(unix)]
mod patience {
    use std::thread;
    use std::time::{Duration, Instant};

    use signal_hook::consts::SIGINT;
    use signal_hook::iterator::{Handle, Signals};
    use signal_hook::low_level;

    /// A second SIGINT counts if the first one came at least this long before it. A terminal, a launcher and a scheduler send one
    /// signal to a process more than once.
    const LEAST: Duration = Duration::from_secs(2);

    /// A thread that waits for SIGINT.
    #[derive(Debug)]
    pub(super) struct Patience(Handle);

    impl Patience {
        /// `None` if the system has no thread to give: a second SIGINT then does nothing.
        pub(super) fn begin() -> Option<Self> {
            let mut signals = Signals::new([SIGINT]).ok()?;
            let handle = signals.handle();
            let wait = move || {
                let mut first: Option<Instant> = None;
                for _ in signals.forever() {
                    let first = *first.get_or_insert_with(Instant::now);
                    if first.elapsed() >= LEAST {
                        // The status by which shells know a process that SIGINT ended.
                        low_level::exit(128 + SIGINT);
                    }
                }
            };
            let thread = thread::Builder::new().name("fabric-signals".to_owned()).spawn(wait);
            thread.is_ok().then_some(Self(handle))
        }
    }

    impl Drop for Patience {
        fn drop(&mut self) {
            self.0.close();
        }
    }
}
