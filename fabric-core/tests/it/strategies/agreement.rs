//! One verdict for all ranks: whoever fails, everybody hears of it, by name, and what was on disk stays.

use std::path::Path;
use std::time::Duration;

use candle_core::Tensor;
use fabric_core::group::{GroupError, ThreadGroup};
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, SaveOptions, Strategy};

use super::world::{State, numbers, run, run_over};

const PATH: &str = "run/last";
const OLD: u16 = 1;
const NEW: u16 = 2;

fn layouts() -> [Strategy; 3] {
    [
        Strategy::fsdp(),
        Strategy::mesh([("tp", 3), ("dp", 1), ("fsdp", 1)]),
        Strategy::ddp(),
    ]
}

fn with_old(strategy: &Strategy, ranks: usize) -> Memory {
    let storage = Memory::new();
    run(strategy, ranks, &storage, |fabric| {
        fabric.save(PATH, &State::new(fabric, OLD)).expect("saved");
    });
    storage
}

/// Fails unless the old checkpoint is there, and a save after this leaves nothing but a checkpoint.
fn assert_unharmed(strategy: &Strategy, ranks: usize, storage: &Memory, when: &str) {
    run(strategy, ranks, storage, |fabric| {
        let mut state = State::new(fabric, 900);
        fabric
            .load(PATH, &mut state)
            .unwrap_or_else(|error| panic!("{when}: {error}"));
        assert_eq!(state.contents(), State::new(fabric, OLD).contents(), "{when}");
        fabric.save(PATH, &state).expect("nothing fails any more");
    });
    assert_eq!(storage.list(Path::new("run")).expect("a directory"), ["last"], "{when}");
    if strategy.layout() == fabric_core::Layout::Directory {
        let names = storage.list(Path::new(PATH)).expect("a directory");
        let generations = names.iter().filter(|name| name.starts_with("g-")).count();
        assert_eq!((names.len(), generations), (2, 1), "{when}: {names:?}");
    }
}

#[test]
fn a_filter_that_panics_on_one_rank_is_an_error_on_the_others() {
    let cases = layouts().map(|strategy| (strategy, false, "save: plan"));
    // Asked when the ranks know what the whole tensor is.
    let in_parts = (
        Strategy::mesh([("tp", 3), ("dp", 1), ("fsdp", 1)]),
        true,
        "save: filter",
    );
    for (strategy, in_parts, expected_step) in cases.into_iter().chain([in_parts]) {
        let storage = with_old(&strategy, 3);
        let ended = run_over(&strategy, &vec![storage.clone(); 3], ThreadGroup::TIMEOUT, |fabric| {
            let rank = fabric.rank();
            let field = if in_parts {
                State::FIELDS.column
            } else {
                State::FIELDS.whole
            };
            let options = SaveOptions::new().filter(field, move |_, _| {
                assert!(rank != 1, "a filter of rank 1");
                true
            });
            fabric.save_with(PATH, &State::new(fabric, NEW), options).map(drop)
        });
        for (rank, ended) in ended.into_iter().enumerate() {
            match ended {
                Err(panic) => {
                    assert_eq!(rank, 1);
                    let text = panic
                        .downcast_ref::<String>()
                        .map_or("a filter of rank 1", String::as_str);
                    assert!(text.contains("a filter of rank 1"), "{text}");
                }
                Ok(Err(Error::Rank {
                    rank: failed,
                    step,
                    message,
                })) => {
                    assert_eq!((failed, step.as_str()), (1, expected_step));
                    assert!(
                        message.contains("panicked") && message.contains("a filter of rank 1"),
                        "{message}"
                    );
                }
                Ok(other) => panic!("rank {rank}: {other:?}"),
            }
        }
        assert_unharmed(&strategy, 3, &storage, "after a panic");
    }
}

#[test]
fn other_paths_are_an_error_before_anything_is_written() {
    for strategy in layouts() {
        let storage = Memory::new();
        let errors = run(&strategy, 3, &storage, |fabric| {
            let path = if fabric.rank() == 2 { "run/other" } else { PATH };
            fabric
                .save(path, &State::new(fabric, NEW))
                .expect_err("two paths")
                .to_string()
        });
        for error in errors {
            assert_eq!(
                error,
                "rank 2 does not agree with rank 0: the path is run/other, and run/last on rank 0"
            );
        }
        assert_eq!(storage.list(Path::new("")).expect("the root"), Vec::<String>::new());
    }
}

#[test]
fn a_load_of_other_paths_is_an_error_before_anything_is_changed() {
    for strategy in layouts() {
        let storage = with_old(&strategy, 3);
        run(&strategy, 3, &storage, |fabric| {
            fabric.save("run/other", &State::new(fabric, NEW)).expect("saved");
        });
        run(&strategy, 3, &storage, |fabric| {
            let path = if fabric.rank() == 2 { "run/other" } else { PATH };
            let mut state = State::new(fabric, 900);
            let error = fabric.load(path, &mut state).expect_err("two checkpoints").to_string();
            assert!(error.contains("rank 2") && error.contains("run/other"), "{error}");
            assert_eq!(state.contents(), State::new(fabric, 900).contents());
        });
    }
}

/// One rank is asked to load what another save has replaced since the others opened it.
#[test]
fn ranks_that_opened_different_saves_do_not_load() {
    for strategy in layouts() {
        let storage = with_old(&strategy, 3);
        run(&strategy, 3, &storage, |fabric| {
            let early = (fabric.rank() != 1).then(|| fabric.open(PATH).expect("the old one"));
            fabric.save(PATH, &State::new(fabric, NEW)).expect("saved");
            let raw = early.unwrap_or_else(|| fabric.open(PATH).expect("the new one"));
            let mut state = State::new(fabric, 900);
            fabric
                .load_from(&raw, &mut state)
                .expect_err("an old one and a new one");
            assert_eq!(state.contents(), State::new(fabric, 900).contents());
        });
    }
}

#[derive(Checkpoint)]
struct One {
    weight: Tensor,
    #[checkpoint(metadata)]
    note: (u64, String),
}

#[derive(Checkpoint)]
struct Two {
    weight: Tensor,
    #[checkpoint(metadata)]
    note: (u64, String),
    more: u64,
}

fn one(rows: usize, number: u64) -> One {
    One {
        weight: numbers(&[rows, 2], 0.),
        note: (number, "note".into()),
    }
}

/// What every rank says when rank 1 saves something else.
fn disagreement(strategy: &Strategy, save: impl Fn(&Fabric) -> fabric_core::Result<()> + Sync) -> String {
    let storage = Memory::new();
    let errors = run(strategy, 3, &storage, |fabric| save(fabric).expect_err("they differ"));
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, Error::Disagreement { rank: 1, .. })),
        "{texts:?}"
    );
    assert_eq!(
        storage.list(Path::new("")).expect("the root"),
        Vec::<String>::new(),
        "something was written"
    );
    texts[0].clone()
}

#[test]
fn what_differs_is_named_before_anything_is_written() {
    for strategy in layouts() {
        let value = disagreement(&strategy, |fabric| {
            fabric.save(PATH, &one(2, u64::from(fabric.rank() == 1))).map(drop)
        });
        assert!(value.contains("`note`") && value.contains("per_rank"), "{value}");
        let shape = disagreement(&strategy, |fabric| {
            fabric
                .save(PATH, &one(2 + usize::from(fabric.rank() == 1), 0))
                .map(drop)
        });
        assert!(
            shape.contains("`weight` is F32 [3, 2], and F32 [2, 2] on rank 0"),
            "{shape}"
        );
        let schema = disagreement(&strategy, |fabric| {
            let One { weight, note } = one(2, 0);
            if fabric.rank() == 1 {
                fabric.save(PATH, &Two { weight, note, more: 1 }).map(drop)
            } else {
                fabric.save(PATH, &One { weight, note }).map(drop)
            }
        });
        assert!(schema.contains("`more`"), "{schema}");
        let options = disagreement(&strategy, |fabric| {
            let rank = fabric.rank();
            let options = if rank == 1 {
                SaveOptions::new().exclude(State::FIELDS.rows)
            } else {
                SaveOptions::new()
            };
            fabric.save_with(PATH, &State::new(fabric, 1), options).map(drop)
        });
        assert!(options.contains("`rows`"), "{options}");
    }
}

#[test]
fn other_options_of_a_load_are_named() {
    for strategy in layouts() {
        let storage = with_old(&strategy, 3);
        run(&strategy, 3, &storage, |fabric| {
            let mut state = State::new(fabric, 900);
            let options = LoadOptions::new().strict(fabric.rank() != 1);
            let error = fabric
                .load_with(PATH, &mut state, options)
                .expect_err("they differ")
                .to_string();
            let said = "the option LoadOptions::strict is false, and true on rank 0";
            assert!(error.contains("rank 1") && error.contains(said), "{error}");
            assert_eq!(state.contents(), State::new(fabric, 900).contents());
        });
    }
}

#[test]
fn a_tensor_of_another_shape_on_one_rank_is_an_error_on_all() {
    for strategy in layouts() {
        let storage = with_old(&strategy, 3);
        run(&strategy, 3, &storage, |fabric| {
            for field in ["whole", "rows", "column"] {
                let mut state = State::new(fabric, 900);
                if fabric.rank() == 1 {
                    let place = match field {
                        "whole" => &mut state.whole,
                        "rows" => &mut state.rows,
                        _ => &mut state.column,
                    };
                    *place = numbers(&[9, 7], 0.);
                }
                let before = state.contents();
                let error = fabric.load(PATH, &mut state).expect_err("they differ").to_string();
                assert!(error.contains(field), "{strategy:?}, rank {}: {error}", fabric.rank());
                assert_eq!(state.contents(), before, "{error}");
            }
        });
    }
}

const SHORT: Duration = Duration::from_millis(500);

#[test]
fn a_rank_that_never_comes_is_named_with_the_step() {
    for strategy in layouts() {
        let storage = with_old(&strategy, 3);
        let waiting = std::sync::Barrier::new(3);
        let ended = run_over(&strategy, &vec![storage.clone(); 3], SHORT, |fabric| {
            let outcome = (fabric.rank() != 2).then(|| {
                let saved = fabric.save(PATH, &State::new(fabric, NEW)).map(drop);
                let loaded = fabric.load(PATH, &mut State::new(fabric, NEW)).map(drop);
                (saved, loaded)
            });
            // The silent rank lives on until the others have given up.
            waiting.wait();
            outcome
        });
        for outcome in ended.into_iter().filter_map(|ended| ended.expect("no panic")) {
            let Err(Error::Group(GroupError::Timeout { step, missing, .. })) = &outcome.0 else {
                panic!("{:?}", outcome.0);
            };
            assert!(step == "save: plan" && missing.contains(&2), "{step}: {missing:?}");
            assert!(matches!(outcome.1, Err(Error::Group(_))), "{:?}", outcome.1);
        }
        assert_unharmed(&strategy, 3, &storage, "after a silence");
    }
}

/// A state whose visit ends its rank's thread.
struct Dying<'s> {
    state: &'s State,
    dies: bool,
}

impl Checkpoint for Dying<'_> {
    fn visit<'a>(&'a self, entries: &mut fabric_core::Visitor<'a>) {
        assert!(!self.dies, "the end of a thread");
        self.state.visit(entries);
    }

    fn visit_mut<'a>(&'a mut self, _: &mut fabric_core::VisitorMut<'a>) {}
}

#[test]
fn a_thread_that_has_ended_is_named() {
    for strategy in layouts() {
        let storage = with_old(&strategy, 3);
        let ended = run_over(&strategy, &vec![storage.clone(); 3], ThreadGroup::TIMEOUT, |fabric| {
            let state = State::new(fabric, NEW);
            let dying = Dying {
                state: &state,
                dies: fabric.rank() == 1,
            };
            let first = fabric.save(PATH, &dying).expect_err("a rank dies").to_string();
            let second = fabric.save(PATH, &state).expect_err("a rank is dead").to_string();
            (first, second)
        });
        for (rank, ended) in ended.into_iter().enumerate() {
            match ended {
                Err(_) => assert_eq!(rank, 1),
                Ok((first, second)) => {
                    assert!(first.contains("rank 1 failed at `save: plan`"), "{first}");
                    assert!(second.contains("rank 1 had left the group"), "{second}");
                }
            }
        }
        assert_unharmed(&strategy, 3, &storage, "after a death");
    }
}
