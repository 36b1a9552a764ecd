//! The storage of one rank fails, at every operation in turn.

use std::path::Path;
use std::time::Duration;

use fabric_core::storage::Storage;
use fabric_core::testing::{Fault, Faulty, Memory};
use fabric_core::{Error, Fabric, LoadOptions, Result, Strategy};
use testkit::faults::FAULTS;

use super::world::{State, run, run_over};

const PATH: &str = "run/last";
const OLD: u16 = 1;
const NEW: u16 = 2;
const RANKS: usize = 3;

fn layouts() -> [Strategy; 2] {
    [Strategy::mesh([("tp", 3), ("dp", 1), ("fsdp", 1)]), Strategy::ddp()]
}

fn with_old(strategy: &Strategy) -> Memory {
    let storage = Memory::new();
    run(strategy, RANKS, &storage, |fabric| {
        fabric.save(PATH, &State::new(fabric, OLD)).expect("saved");
    });
    storage
}

/// Runs `work` on all ranks, whose storages are views of one, with a fault in that of `failing`; gives what each returned,
/// and what the failing one had done.
fn with_fault<T: Send>(
    strategy: &Strategy,
    memory: &Memory,
    failing: usize,
    fault: Option<(usize, Fault)>,
    work: impl Fn(&Fabric) -> T + Sync,
) -> (Vec<T>, Vec<String>) {
    let mut storages: Vec<Faulty> = (0..RANKS).map(|_| Faulty::new(memory.clone())).collect();
    if let Some((operation, fault)) = fault {
        storages[failing] = Faulty::new(memory.clone()).with_fault(operation, fault);
    }
    let ended = run_over(strategy, &storages, Duration::from_secs(20), work);
    let ended = ended.into_iter().map(|ended| ended.expect("no panic")).collect();
    (ended, storages[failing].log())
}

fn save(fabric: &Fabric) -> Result<()> {
    fabric.save(PATH, &State::new(fabric, NEW)).map(drop)
}

/// Every rank failed, the others by the name of the one whose storage did; or all have succeeded.
fn one_verdict(outcomes: &[Result<()>], failing: usize, when: &str) -> bool {
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert!(failed == 0 || failed == RANKS, "{when}: {outcomes:?}");
    for (rank, outcome) in outcomes.iter().enumerate() {
        let Err(error) = outcome else { continue };
        let source = match error {
            Error::Interrupted { source, .. } => &**source,
            error => error,
        };
        match source {
            Error::Rank { rank: named, .. } => assert!(*named == failing && rank != failing, "{when}: {error}"),
            Error::Io { .. } => assert_eq!(rank, failing, "{when}: {error}"),
            _ => panic!("{when}, rank {rank}: {error}"),
        }
    }
    failed > 0
}

/// Which of the two states is there; after one more save, nothing else is.
fn found(strategy: &Strategy, memory: &Memory, when: &str) -> u16 {
    let found = run(strategy, RANKS, memory, |fabric| {
        let mut state = State::new(fabric, 900);
        fabric
            .load(PATH, &mut state)
            .unwrap_or_else(|error| panic!("{when}: {error}"));
        let found = [OLD, NEW]
            .into_iter()
            .find(|&seed| state.contents() == State::new(fabric, seed).contents());
        fabric.save(PATH, &state).expect("nothing fails any more");
        found.unwrap_or_else(|| panic!("{when}: neither the old state nor the new"))
    });
    assert_eq!(memory.list(Path::new("run")).expect("a directory"), ["last"], "{when}");
    if strategy.layout() == fabric_core::Layout::Directory {
        let names = memory.list(Path::new(PATH)).expect("a directory");
        assert_eq!(names.len(), 2, "{when}: {names:?}");
    }
    assert!(found.iter().all(|seed| *seed == found[0]), "{when}: {found:?}");
    found[0]
}

#[test]
fn any_failing_operation_of_a_save_is_an_error_on_all_ranks_that_names_the_one() {
    for strategy in layouts() {
        for failing in 0..RANKS {
            let (_, healthy) = with_fault(&strategy, &with_old(&strategy), failing, None, save);
            let mut refused = 0;
            for (operation, fault) in (0..healthy.len()).flat_map(|operation| FAULTS.map(|fault| (operation, fault))) {
                let memory = with_old(&strategy);
                let (outcomes, log) = with_fault(&strategy, &memory, failing, Some((operation, fault)), save);
                let what = log.get(operation).map_or("", String::as_str);
                let when = format!("{strategy:?}: {fault:?} on rank {failing} at {operation}, {what}");
                let failed = one_verdict(&outcomes, failing, &when);
                refused += usize::from(failed);
                let renamed = log.iter().take(operation).any(|done| done.starts_with("rename"));
                let holds = found(&strategy, &memory, &when);
                if failed && !renamed {
                    assert_eq!(holds, OLD, "{when}");
                } else if !failed {
                    assert_eq!(holds, NEW, "{when}");
                }
            }
            assert!(
                refused > 0 || healthy.is_empty(),
                "no fault was noticed on rank {failing}"
            );
        }
    }
}

#[test]
fn a_storage_that_stops_on_one_rank_stops_all_and_leaves_a_checkpoint() {
    for strategy in layouts() {
        for failing in 0..RANKS {
            let (_, healthy) = with_fault(&strategy, &with_old(&strategy), failing, None, save);
            for (operation, what) in healthy.iter().enumerate() {
                let memory = with_old(&strategy);
                let (outcomes, _) = with_fault(&strategy, &memory, failing, Some((operation, Fault::Stop)), save);
                let when = format!("{strategy:?}: stop on rank {failing} at {operation}, {what}");
                one_verdict(&outcomes, failing, &when);
                found(&strategy, &memory, &when);
            }
        }
    }
}

#[test]
fn any_failing_operation_of_a_load_is_an_error_on_all_ranks() {
    for strategy in layouts() {
        for (failing, verify) in [(0, false), (1, false), (2, false), (1, true)] {
            let load = |fabric: &Fabric| {
                let mut state = State::new(fabric, 900);
                let loaded = fabric
                    .load_with(PATH, &mut state, LoadOptions::new().verify_first(verify))
                    .map(drop);
                let values_stay = state.iteration == State::new(fabric, 900).iteration;
                assert!(loaded.is_ok() || values_stay, "values changed though the load failed");
                loaded
            };
            let memory = with_old(&strategy);
            let (_, healthy) = with_fault(&strategy, &memory, failing, None, load);
            for (operation, what) in healthy.iter().enumerate() {
                let fault = Some((operation, Fault::Os(5)));
                let (outcomes, _) = with_fault(&strategy, &memory, failing, fault, load);
                let when = format!("{strategy:?}: rank {failing} at {operation}, {what}");
                assert!(one_verdict(&outcomes, failing, &when), "{when}: nobody noticed");
            }
        }
    }
}
