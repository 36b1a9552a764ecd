//! A storage in memory that asks before it creates a file: to stop there, to fail, or to panic.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use fabric_core::storage::{FileKind, ReadFile, Storage, WriteFile};
use fabric_core::testing::Memory;

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

impl Storage for Odd {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        (self.ask)(path)?;
        self.memory.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.memory.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.memory.remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.memory.create_dir_all(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.memory.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.memory.sync_dir(path)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        self.memory.kind(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.memory.list(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.memory.resolve(path)
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        self.memory.remove_if_abandoned(path)
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
