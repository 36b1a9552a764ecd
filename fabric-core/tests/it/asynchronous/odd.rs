//! A storage in memory that asks before it creates a file: to stop there, to fail, or to panic.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use fabric_core::storage::Storage;
use fabric_core::testing::{Layer, Memory};

type Ask = dyn Fn(&Path) -> io::Result<()> + Send + Sync;

/// Asks `ask` before a file is created.
#[derive(Clone)]
pub(crate) struct Odd {
    pub(crate) memory: Memory,
    ask: Arc<Ask>,
}

impl Odd {
    pub(crate) fn new(ask: impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            memory: Memory::new(),
            ask: Arc::new(ask),
        }
    }

    /// No file is created before the gate is open.
    pub(crate) fn behind(gate: &Gate) -> Self {
        let gate = gate.clone();
        Self::new(move |_| {
            gate.pass();
            Ok(())
        })
    }
}

impl fmt::Debug for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.memory.fmt(f)
    }
}

impl Layer for Odd {
    fn below(&self) -> &dyn Storage {
        &self.memory
    }

    fn before(&self, method: &'static str, path: &Path) -> io::Result<()> {
        match method {
            "create" | "create_like" => (self.ask)(path),
            _ => Ok(()),
        }
    }
}

/// Nobody passes before it is open.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("no panic") = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().expect("no panic");
        drop(self.0.1.wait_while(open, |open| !*open).expect("no panic"));
    }
}
