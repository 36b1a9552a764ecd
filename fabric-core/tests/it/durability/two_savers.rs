//! Two savers of one path: one waits before any of its operations while the other one saves, or dies in the middle of it;
//! then the first goes on, or dies as well. After each course a complete checkpoint is at the path, and the last commit wins.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use candle_core::{Device, Tensor};
use fabric_core::group::ThreadGroup;
use fabric_core::storage::{FileKind, Storage};
use fabric_core::testing::{Fault, Faulty, Layer, Memory};
use fabric_core::{Checkpoint, Error, Fabric, Result, Strategy};

use super::state::on;

const PATH: &str = "run/last";
const OLD: u8 = 1;
const WAITING: u8 = 2;
const OTHER: u8 = 3;

#[derive(Checkpoint)]
struct State {
    #[checkpoint(shard(dim = 0))]
    rows: Tensor,
    step: u64,
}

impl State {
    fn new(seed: u8) -> Self {
        Self {
            rows: Tensor::full(seed, 4, &Device::Cpu).expect("four elements"),
            step: u64::from(seed),
        }
    }
}

/// How a saver saves: one file, or a directory with one rank.
#[derive(Clone, Copy, Debug)]
enum Kind {
    File,
    Directory,
}

fn save(kind: Kind, storage: impl Storage + 'static, seed: u8) -> Result<()> {
    let fabric = match kind {
        Kind::File => on(storage),
        Kind::Directory => {
            let builder = Fabric::builder().strategy(Strategy::fsdp()).storage(storage);
            let group = ThreadGroup::new(1).remove(0);
            builder.process_group(group).build().expect("one rank")
        }
    };
    fabric.save(PATH, &State::new(seed)).map(drop)
}

/// The seed of the checkpoint that loads; `None` if nothing is there.
fn found(storage: &Memory, when: &str) -> Option<u8> {
    let mut state = State::new(0);
    match on(storage.clone()).load(PATH, &mut state) {
        Ok(_) => {
            let rows: Vec<u8> = state.rows.to_vec1().expect("four elements");
            assert!(rows.iter().all(|row| u64::from(*row) == state.step), "{when}: {rows:?}");
            Some(rows[0])
        }
        Err(Error::NotFound { .. }) if storage.kind(Path::new(PATH)).expect("memory").is_none() => None,
        Err(error) => panic!("{when}: {error}\n{storage:?}"),
    }
}

fn assert_alone(storage: &Memory, when: &str) {
    assert_eq!(storage.list(Path::new("run")).expect("a directory"), ["last"], "{when}");
    if storage.kind(Path::new(PATH)).expect("memory") == Some(FileKind::Directory) {
        let names = storage.list(Path::new(PATH)).expect("a directory");
        assert_eq!((names.len(), &*names[1]), (2, "manifest.fabric"), "{when}: {names:?}");
    }
}

/// Waits before one of its operations until it may go on, or is to die there.
#[derive(Clone, Debug)]
struct Waiting {
    inner: Faulty,
    operations: Arc<AtomicUsize>,
    at: usize,
    reached: Arc<Mutex<Option<Sender<()>>>>,
    go_on: Arc<Mutex<Option<Receiver<bool>>>>,
    dead: Arc<AtomicUsize>,
}

impl Waiting {
    fn new(memory: &Memory, at: usize) -> (Self, Receiver<()>, Sender<bool>) {
        let ((reached, is_reached), (go, go_on)) = (channel(), channel());
        let waiting = Self {
            inner: Faulty::new(memory.clone()),
            operations: Arc::default(),
            at,
            reached: Arc::new(Mutex::new(Some(reached))),
            go_on: Arc::new(Mutex::new(Some(go_on))),
            dead: Arc::default(),
        };
        (waiting, is_reached, go)
    }
}

impl Layer for Waiting {
    fn below(&self) -> &dyn Storage {
        &self.inner
    }

    fn before(&self, _: &'static str, _: &Path) -> io::Result<()> {
        if self.operations.fetch_add(1, Ordering::SeqCst) == self.at {
            // The channel closes when the test does not come to this point.
            if let Some(reached) = self.reached.lock().expect("no panic").take() {
                reached.send(()).expect("the test waits");
            }
            let go_on = self.go_on.lock().expect("no panic").take().expect("once");
            self.dead
                .store(usize::from(!go_on.recv().expect("a word")), Ordering::SeqCst);
        }
        match self.dead.load(Ordering::SeqCst) {
            0 => Ok(()),
            _ => Err(io::Error::other("the saver is dead")),
        }
    }
}

/// One course of events.
#[derive(Clone, Copy, Debug)]
struct Course {
    from: Option<Kind>,
    waiting: Kind,
    /// Before this operation the first saver waits.
    at: usize,
    /// Whether it goes on afterwards.
    goes_on: bool,
    other: Kind,
    /// The operation at which the other saver dies.
    dies_at: Option<usize>,
}

impl Course {
    fn start(&self) -> Memory {
        let memory = Memory::new();
        if let Some(kind) = self.from {
            save(kind, memory.clone(), OLD).expect("nothing fails yet");
        }
        memory
    }

    /// Runs it; `false` if the first saver does not come to the operation.
    fn run(&self) -> bool {
        let when = format!("{self:?}");
        let memory = self.start();
        let (waiting, is_reached, go) = Waiting::new(&memory, self.at);
        let kind = self.waiting;
        let first = std::thread::spawn(move || save(kind, waiting, WAITING));
        if is_reached.recv().is_err() {
            first.join().expect("no panic").expect("nothing fails");
            return false;
        }
        let before = found(&memory, &when);
        let storage = Faulty::new(memory.clone());
        let storage = match self.dies_at {
            Some(at) => storage.with_fault(at, Fault::Stop),
            None => storage,
        };
        let other = save(self.other, storage, OTHER);
        let between = found(&memory, &when);
        match &other {
            Ok(()) => assert_eq!(between, Some(OTHER), "{when}: the save said that it succeeded"),
            Err(_) => assert!(between == before || between == Some(OTHER), "{when}: {between:?}"),
        }
        assert!(self.dies_at.is_some() || other.is_ok(), "{when}: {other:?}");
        go.send(self.goes_on).expect("it waits");
        let first = first.join().expect("no panic");
        let after = found(&memory, &when);
        match &first {
            Ok(()) if between != Some(OTHER) => assert_eq!(after, Some(WAITING), "{when}"),
            // Its own commit may have come before that of the other one.
            Ok(()) => assert!(after == Some(WAITING) || before == Some(WAITING), "{when}: {after:?}"),
            Err(_) => assert!(
                after == between || after == Some(WAITING),
                "{when}: {after:?}, {between:?}"
            ),
        }
        assert!(self.from.is_none() || after.is_some(), "{when}: nothing is left");
        for next in [self.waiting, self.other] {
            save(next, memory.clone(), OLD).unwrap_or_else(|error| panic!("{when}: {error}\n{memory:?}"));
            assert_eq!(found(&memory, &when), Some(OLD), "{when}");
            assert_alone(&memory, &when);
        }
        true
    }
}

fn every_course(from: Option<Kind>) {
    let mut courses = 0;
    for (waiting, other) in [
        (Kind::Directory, Kind::Directory),
        (Kind::Directory, Kind::File),
        (Kind::File, Kind::Directory),
        (Kind::File, Kind::File),
    ] {
        let mut course = Course {
            from,
            waiting,
            at: 0,
            goes_on: true,
            other,
            dies_at: None,
        };
        let operations = {
            let storage = Faulty::new(course.start());
            save(other, storage.clone(), OTHER).expect("no fault is set");
            storage.operations()
        };
        while course.run() {
            let deaths = (course.at % 3..operations).step_by(3);
            for dies_at in std::iter::once(None).chain(deaths.map(Some)) {
                for goes_on in [true, false] {
                    Course {
                        goes_on,
                        dies_at,
                        ..course
                    }
                    .run();
                    courses += 1;
                }
            }
            course.at += 1;
        }
    }
    assert!(courses > 500, "{courses} courses");
}

#[test]
fn two_savers_where_nothing_was_leave_a_complete_checkpoint_and_the_last_commit_wins() {
    every_course(None);
}

#[test]
fn two_savers_where_a_file_was_leave_a_complete_checkpoint_and_the_last_commit_wins() {
    every_course(Some(Kind::File));
}

#[test]
fn two_savers_where_a_directory_was_leave_a_complete_checkpoint_and_the_last_commit_wins() {
    every_course(Some(Kind::Directory));
}
