//! Removing checkpoints without a save.

use std::path::Path;

use fabric_core::run::{Decision, Keep, Metric, Pruned, Run};
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Error, Strategy};
use testkit::files::write;

use super::{AT, State, change, damage, fabric, latest, opened, steps, with};

fn removed(pruned: &Pruned) -> Vec<u64> {
    pruned.removed.iter().map(|one| one.step).collect()
}

#[test]
fn a_prune_removes_the_checkpoints_that_no_rule_keeps_and_nothing_else() {
    let (memory, run) = with(&[1, 2, 3, 4, 5], |run| run);
    drop(run);
    let names = ["notes.txt", "step-000000009.ckpt", "step-3.ckpt"];
    for name in names {
        write(&memory, Path::new(AT).join(name), b"mine");
    }
    let mut run = opened(&memory, |run| run.keep(Keep::last(2).best(1, Metric::highest("loss"))));
    let decided: Vec<bool> = run.decisions().expect("readable").iter().map(Decision::stays).collect();
    assert_eq!(decided, [true, false, false, true, true]);
    assert_eq!(removed(&run.prune().expect("pruned")), [2, 3]);
    assert_eq!(steps(&run), [1, 4, 5]);
    assert_eq!(removed(&run.prune().expect("pruned")), [0; 0]);
    for name in names {
        assert!(
            memory.kind(&Path::new(AT).join(name)).expect("readable").is_some(),
            "{name}"
        );
    }
}

#[test]
fn a_prune_never_removes_the_last_whole_checkpoint() {
    let (memory, run) = with(&[1, 2, 3, 4], |run| run);
    let newest = latest(&run);
    damage(&memory, &newest);
    drop(run);
    let mut run = opened(&memory, |run| run.keep(Keep::last(1)));
    let pruned = run.prune().expect("3 is whole");
    assert_eq!(removed(&pruned), [1, 2]);
    assert_eq!(pruned.damaged.len(), 1);
    assert_eq!(pruned.damaged[0].0, newest.path);
    assert!(
        memory.kind(&newest.path).expect("readable").is_some(),
        "a damaged one stays"
    );
    let resumed = run.resume(&mut State::new(0)).expect("whole").expect("a checkpoint");
    assert_eq!(resumed.step, 3);
}

#[test]
fn a_damaged_checkpoint_that_a_rule_keeps_costs_no_whole_one() {
    let (memory, run) = with(&[1, 2, 3, 4, 5], |run| run);
    let kept = run.checkpoints().expect("readable");
    // The best one, and the one before the newest.
    for at in [0, 3] {
        damage(&memory, &kept[at]);
    }
    drop(run);
    let mut run = opened(&memory, |run| run.keep(Keep::last(2).best(1, Metric::highest("loss"))));
    let pruned = run.prune().expect("2, 3 and 5 are whole");
    assert_eq!(
        removed(&pruned),
        [0; 0],
        "2 is the best one now, and 3 one of the last two"
    );
    let damaged: Vec<&Path> = pruned.damaged.iter().map(|(path, _)| path.as_path()).collect();
    assert_eq!(damaged, [&kept[3].path, &kept[0].path]);
    assert_eq!(steps(&run), [2, 3, 5]);
    drop(run);
    let mut run = opened(&memory, |run| run.keep(Keep::last(1).best(1, Metric::highest("loss"))));
    assert_eq!(removed(&run.prune().expect("2 and 5 are whole")), [3, 4]);
}

#[test]
fn a_run_without_a_whole_checkpoint_is_not_pruned() {
    let (memory, run) = with(&[1, 2, 3], |run| run);
    for one in run.checkpoints().expect("readable") {
        damage(&memory, &one);
    }
    drop(run);
    let mut run = opened(&memory, |run| run.keep(Keep::last(1)));
    let pruned = run.prune().expect("nothing is left to compare with");
    assert_eq!((removed(&pruned), pruned.damaged.len()), (vec![], 2));
    let names = memory.list(Path::new(AT)).expect("a directory");
    assert_eq!(names.iter().filter(|name| name.starts_with("step-")).count(), 3);
}

#[test]
fn a_checkpoint_with_a_damaged_head_is_never_removed() {
    let (memory, run) = with(&[1, 2, 3], |run| run);
    let first = Path::new(AT).join("step-000000001.ckpt");
    drop(run);
    change(&memory, &first, |bytes| bytes.truncate(100));
    let mut run = opened(&memory, |run| run.keep(Keep::last(1)));
    assert_eq!(removed(&run.prune().expect("pruned")), [2]);
    assert!(memory.kind(&first).expect("readable").is_some());
}

#[test]
fn a_run_without_checkpoints_or_without_rules_is_pruned_of_nothing() {
    let mut run = opened(&Memory::new(), |run| run.keep(Keep::last(1)));
    assert!(run.prune().expect("nothing to do").removed.is_empty());
    let (_memory, mut run) = with(&[1, 2], |run| run);
    assert!(run.prune().expect("all stay").removed.is_empty());
}

#[test]
fn a_run_that_a_training_holds_is_not_pruned() {
    let (memory, _held) = with(&[1, 2], |run| run);
    let refused = Run::at(AT).keep(Keep::last(1)).open(&fabric(&memory));
    assert!(matches!(refused, Err(Error::RunInUse { .. })));
}

#[test]
fn all_ranks_prune_together_with_one_answer() {
    let memory = Memory::new();
    testkit::world::run(&Strategy::fsdp(), 3, &memory, |fabric| {
        let mut run = Run::at(AT).open(fabric).expect("a run");
        for step in 1..=4 {
            run.save(step, &State::new(step), &[]).expect("saved");
        }
    });
    testkit::world::run(&Strategy::fsdp(), 3, &memory, |fabric| {
        let mut run = Run::at(AT).keep(Keep::last(2)).open(fabric).expect("a run");
        assert_eq!(removed(&run.prune().expect("pruned")), [1, 2]);
        assert_eq!(steps(&run), [3, 4]);
    });
}
