//! What groups of threads promise beside the suite.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fabric_core::group::{GroupError, ProcessGroup, ThreadGroup};

use super::PATIENCE;

fn on_each(groups: Vec<ThreadGroup>, run: impl Fn(ThreadGroup) + Sync) {
    thread::scope(|scope| {
        for group in groups {
            scope.spawn(|| run(group));
        }
    });
}

#[test]
fn no_ranks_are_no_handles() {
    assert!(ThreadGroup::new(0).is_empty());
}

#[test]
fn a_handle_can_be_shared_and_printed() {
    fn shared<T: Send + Sync>(_: &T) {}
    let [group] = &ThreadGroup::new(1)[..] else {
        panic!("one rank has one handle")
    };
    shared(group);
    assert_eq!(
        format!("{group:?}"),
        "ThreadGroup { rank: 0, world_size: 1, timeout: 1800s, .. }"
    );
}

#[test]
fn nobody_passes_a_barrier_before_all_have_come() {
    let come = AtomicUsize::new(0);
    on_each(ThreadGroup::with_timeout(8, PATIENCE), |group| {
        for turn in 1..=50 {
            come.fetch_add(1, Ordering::SeqCst);
            group.barrier("come").unwrap();
            assert_eq!(come.load(Ordering::SeqCst), 8 * turn);
            group.barrier("go").unwrap();
        }
    });
}

#[test]
fn a_thread_that_panics_is_named_to_those_who_wait() {
    on_each(ThreadGroup::with_timeout(3, PATIENCE), |group| {
        if group.rank() == 1 {
            let panicked = catch_unwind(AssertUnwindSafe(move || {
                group.barrier("together").unwrap();
                let _held = group;
                panic!("on purpose");
            }));
            assert!(panicked.is_err());
            return;
        }
        group.barrier("together").unwrap();
        let error = group.barrier("after the panic").unwrap_err();
        assert_eq!(
            error.to_string(),
            "at step `after the panic`, rank 1 had left the group, which has failed: they dropped their handles, ended or panicked; \
             restart all ranks from the last checkpoint"
        );
    });
}

#[test]
fn all_who_left_are_named() {
    let mut groups = ThreadGroup::with_timeout(4, PATIENCE);
    groups.drain(1..3);
    let error = groups[0].barrier("two are gone").unwrap_err();
    assert_eq!(
        error,
        GroupError::Left {
            step: "two are gone".to_owned(),
            left: vec![1, 2]
        }
    );
    assert_eq!(groups[1].barrier("whatever").unwrap_err(), error);
}

#[test]
fn a_timeout_names_the_step_the_ranks_and_how_long_they_were_waited_for() {
    let mut groups = ThreadGroup::new(3);
    let waiting = groups.remove(1).timeout(Duration::from_millis(20));
    let error = waiting.all_gather("exchange plans", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "at step `exchange plans`, ranks 0, 2 did not arrive within 20ms, and the group has failed; if these ranks are slow, \
         raise the group's timeout; if they are stuck or gone, restart all ranks from the last checkpoint"
    );
    // The late ones hear of it at once, with half an hour to wait.
    assert_eq!(groups[0].barrier("exchange plans").unwrap_err(), error);
    assert_eq!(groups[1].barrier("exchange plans").unwrap_err(), error);
}

#[test]
fn no_time_to_wait_is_enough_for_the_last_one_to_come() {
    let alone = ThreadGroup::with_timeout(1, Duration::ZERO);
    alone[0].barrier("alone").unwrap();
    let pair = ThreadGroup::with_timeout(2, Duration::ZERO);
    assert!(matches!(pair[0].barrier("two"), Err(GroupError::Timeout { .. })));
}

#[test]
fn the_longest_timeout_is_no_overflow() {
    on_each(ThreadGroup::with_timeout(2, Duration::MAX), |group| {
        group.barrier("step").unwrap();
    });
}

#[test]
fn a_split_brings_together_ranks_of_a_color_in_the_order_of_keys() {
    on_each(ThreadGroup::with_timeout(6, PATIENCE), |group| {
        let (rank, world_size) = (group.rank(), group.world_size());
        let half = group.split("split", rank % 2, world_size - rank).unwrap();
        let members = half.all_gather("who is here", &[u8::try_from(rank).unwrap()]).unwrap();
        let expected = if rank % 2 == 0 {
            [[4], [2], [0]]
        } else {
            [[5], [3], [1]]
        };
        assert_eq!(members, expected);
        assert_eq!(members[half.rank()], [u8::try_from(rank).unwrap()]);
    });
}

#[test]
fn the_parts_of_a_split_fail_by_themselves() {
    on_each(ThreadGroup::with_timeout(4, PATIENCE), |group| {
        let color = group.rank() / 2;
        let half = group.split("split", color, 0).unwrap();
        if group.rank() == 3 {
            drop(half);
        } else if group.rank() == 2 {
            assert_eq!(
                half.barrier("pair").unwrap_err().to_string(),
                "at step `pair`, rank 1 had left the group, which has failed: they dropped their handles, ended or panicked; \
                 restart all ranks from the last checkpoint"
            );
        } else {
            half.barrier("pair").unwrap();
        }
        group.barrier("all").unwrap();
    });
}
