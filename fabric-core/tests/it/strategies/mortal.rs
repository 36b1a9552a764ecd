//! A rank that dies, or falls silent, at any step of a save or a load: the others hear of it by its number.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use fabric_core::group::{GroupError, ProcessGroup, ThreadGroup};
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Error, Fabric, Layout, Result, Strategy};

use super::world::{State, run};

const PATH: &str = "run/last";
const OLD: u16 = 1;
const NEW: u16 = 2;
const RANKS: usize = 3;

/// A rank of a group that ends at a step: its process dies, or it lives on and never comes.
#[derive(Debug)]
struct Mortal {
    group: Mutex<Option<ThreadGroup>>,
    rank: usize,
    steps_left: AtomicUsize,
    silent: bool,
}

impl Mortal {
    fn over(&self) -> bool {
        self.steps_left.load(Ordering::Relaxed) == 0
    }
}

impl ProcessGroup for Mortal {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        RANKS
    }

    fn all_gather(&self, step: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        let mut group = self.group.lock().expect("no panic");
        let left = self.steps_left.load(Ordering::Relaxed);
        if left > 0 {
            self.steps_left.store(left - 1, Ordering::Relaxed);
        } else if !self.silent {
            // The last that the others hear: its handle is gone.
            drop(group.take());
        }
        match &*group {
            Some(group) if left > 0 => group.all_gather(step, bytes),
            _ => Err(GroupError::Engine {
                step: step.to_owned(),
                what: "this rank is dead".into(),
            }),
        }
    }

    fn duplicate(&self) -> Result<Box<dyn ProcessGroup>, GroupError> {
        Err(GroupError::Engine {
            step: "duplicate".into(),
            what: "not needed here".into(),
        })
    }
}

/// Runs `work` on all ranks, of which one takes so many steps and no more; says what the others got, and whether it ended.
fn with_mortal(
    strategy: &Strategy,
    storage: &Memory,
    (mortal, steps, silent): (usize, usize, bool),
    work: impl Fn(&Fabric) -> Result<()> + Sync,
) -> (Vec<Result<()>>, bool) {
    let timeout = if silent {
        Duration::from_millis(250)
    } else {
        ThreadGroup::TIMEOUT
    };
    let running = (Mutex::new(RANKS), Condvar::new());
    let ended = std::thread::scope(|scope| {
        let world = ThreadGroup::with_timeout(RANKS, timeout).into_iter().enumerate();
        let threads: Vec<_> = world
            .map(|(rank, group)| {
                let own_steps = if rank == mortal { steps } else { usize::MAX };
                let group = std::sync::Arc::new(Mortal {
                    group: Mutex::new(Some(group)),
                    rank,
                    steps_left: AtomicUsize::new(own_steps),
                    silent,
                });
                let fabric = Fabric::builder().strategy(strategy.clone()).storage(storage.clone());
                let fabric = fabric.process_group(Shared(group.clone())).build().expect("a world");
                let (work, running) = (&work, &running);
                scope.spawn(move || {
                    let outcome = work(&fabric);
                    // Nobody's handle goes before all are done: a rank that has returned is not one that died.
                    let mut left = running.0.lock().expect("no panic");
                    *left -= 1;
                    running.1.notify_all();
                    drop(running.1.wait_while(left, |left| *left > 0).expect("no panic"));
                    (outcome, group.over())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect::<Vec<_>>()
    });
    let over = ended[mortal].1;
    (ended.into_iter().map(|(outcome, _)| outcome).collect(), over)
}

#[derive(Debug)]
struct Shared(std::sync::Arc<Mortal>);

impl ProcessGroup for Shared {
    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn world_size(&self) -> usize {
        self.0.world_size()
    }

    fn all_gather(&self, step: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        self.0.all_gather(step, bytes)
    }

    fn duplicate(&self) -> Result<Box<dyn ProcessGroup>, GroupError> {
        self.0.duplicate()
    }
}

fn with_old(strategy: &Strategy) -> Memory {
    let storage = Memory::new();
    run(strategy, RANKS, &storage, |fabric| {
        fabric.save(PATH, &State::new(fabric, OLD)).expect("saved");
    });
    storage
}

/// One of the two states is there, and after one more save nothing else.
fn assert_checkpoint(strategy: &Strategy, storage: &Memory, when: &str) {
    run(strategy, RANKS, storage, |fabric| {
        let mut state = State::new(fabric, 900);
        fabric
            .load(PATH, &mut state)
            .unwrap_or_else(|error| panic!("{when}: {error}"));
        let known = [OLD, NEW].map(|seed| State::new(fabric, seed).contents());
        assert!(
            known.contains(&state.contents()),
            "{when}: neither the old state nor the new"
        );
        fabric.save(PATH, &state).expect("everybody lives");
    });
    assert_eq!(storage.list(Path::new("run")).expect("a directory"), ["last"], "{when}");
    if strategy.layout() == Layout::Directory {
        let names = storage.list(Path::new(PATH)).expect("a directory");
        assert_eq!(names.len(), 2, "{when}: {names:?}");
    }
}

/// Lets each rank end at each step of `work`; gives the number of steps.
fn end_everywhere(silent: bool, work: impl Fn(&Fabric) -> Result<()> + Sync) -> usize {
    let mut most = 0;
    // Silence takes its time.
    let strategies = if silent { 1 } else { 2 };
    for strategy in [Strategy::mesh([("tp", 3), ("dp", 1), ("fsdp", 1)]), Strategy::ddp()]
        .into_iter()
        .take(strategies)
    {
        for mortal in (0..RANKS).step_by(strategies.abs_diff(3)) {
            for steps in 0.. {
                let storage = with_old(&strategy);
                let (outcomes, over) = with_mortal(&strategy, &storage, (mortal, steps, silent), &work);
                let when = format!("{strategy:?}: rank {mortal} ended after {steps} steps");
                if !over {
                    assert!(outcomes.iter().all(Result::is_ok), "{when}: {outcomes:?}");
                    most = most.max(steps);
                    break;
                }
                if outcomes.iter().all(Result::is_ok) {
                    // It ended after its last step.
                    continue;
                }
                for (rank, outcome) in outcomes.iter().enumerate() {
                    let error = outcome.as_ref().expect_err("one is gone");
                    let source = match error {
                        Error::Interrupted { source, .. } => &**source,
                        error => error,
                    };
                    match source {
                        Error::Group(GroupError::Left { left, .. }) => assert_eq!(left, &[mortal], "{when}"),
                        Error::Group(GroupError::Timeout { missing, .. }) => {
                            assert!(missing.contains(&mortal), "{when}: {error}");
                        }
                        // A rank that is still writing may find its folder gone.
                        Error::Rank { message, .. } if rank != mortal => {
                            assert!(message.contains(&format!("rank {mortal} ")), "{when}: {error}");
                        }
                        _ => assert_eq!(rank, mortal, "{when}: {error}"),
                    }
                }
                assert_checkpoint(&strategy, &storage, &when);
            }
        }
    }
    most
}

#[test]
fn a_rank_that_dies_at_any_step_of_a_save_is_named_by_the_others() {
    let steps = end_everywhere(false, |fabric| fabric.save(PATH, &State::new(fabric, NEW)).map(drop));
    assert!(steps >= 4, "{steps}");
}

#[test]
fn a_rank_that_dies_at_any_step_of_a_load_is_named_by_the_others() {
    let steps = end_everywhere(false, |fabric| {
        let mut state = State::new(fabric, 900);
        let loaded = fabric.load(PATH, &mut state).map(drop);
        assert!(
            loaded.is_ok() || state.iteration == State::new(fabric, 900).iteration,
            "values changed"
        );
        loaded
    });
    assert!(steps >= 4, "{steps}");
}

#[test]
fn a_rank_that_falls_silent_at_any_step_is_named_by_the_others() {
    let steps = end_everywhere(true, |fabric| {
        fabric.save(PATH, &State::new(fabric, NEW))?;
        fabric.load(PATH, &mut State::new(fabric, 900)).map(drop)
    });
    assert!(steps >= 8, "{steps}");
}
