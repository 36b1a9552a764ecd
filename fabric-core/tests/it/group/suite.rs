//! What every process group does, one sentence a function, run on every rank at the same time.
//!
//! Each is given a group that nobody has used, and `watch`, a second one of the same ranks that stays whole whatever
//! happens to the first: to wait for each other, and to compare what each saw. It needs nothing but the public interface,
//! so other tests may include this file.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a rank leaves when its sentence ends: the handle has to end with it"
)]

use std::thread;

use fabric_core::group::{GroupError, ProcessGroup};

pub(crate) type Sentence = fn(Box<dyn ProcessGroup>, &dyn ProcessGroup);

macro_rules! sentences {
    ($list:ident: $($sentence:ident)*) => {
        pub(crate) const $list: &[(&str, Sentence)] = &[$((stringify!($sentence), $sentence)),*];
    };
}

sentences! { PATIENT:
    ranks_are_counted_from_zero
    every_rank_gets_the_bytes_of_every_rank_in_order
    lengths_may_differ
    no_bytes_are_bytes
    large_messages_arrive_whole
    every_rank_can_be_the_root_of_a_broadcast
    a_root_that_does_not_exist_is_an_error_and_no_more
    a_thousand_steps_follow_each_other
    a_duplicate_works_beside_the_first_in_another_thread
    duplicates_of_duplicates_do_not_mix
    threads_that_share_a_handle_take_turns
    a_rank_that_left_is_named_at_once
    a_rank_may_leave_after_it_has_come
    the_rank_where_messages_meet_may_leave_first
    a_rank_at_another_step_is_named_on_every_rank
    another_operation_under_the_same_name_is_another_step
    a_group_that_failed_stays_failed_and_its_duplicates_work
}

// These need a group whose timeout passes soon.
sentences! { HASTY:
    a_rank_that_does_not_come_is_named_and_hears_of_it
    a_first_rank_that_does_not_come_is_named_and_hears_of_it
}

fn this(rank: usize) -> u8 {
    u8::try_from(rank).unwrap()
}

fn last(group: &dyn ProcessGroup) -> usize {
    group.world_size() - 1
}

fn alone(group: &dyn ProcessGroup) -> bool {
    group.world_size() == 1
}

fn ranks_are_counted_from_zero(group: Box<dyn ProcessGroup>, watch: &dyn ProcessGroup) {
    assert!(group.rank() < group.world_size());
    assert_eq!((group.rank(), group.world_size()), (watch.rank(), watch.world_size()));
    let duplicate = group.duplicate().unwrap();
    assert_eq!(
        (group.rank(), group.world_size()),
        (duplicate.rank(), duplicate.world_size())
    );
}

fn every_rank_gets_the_bytes_of_every_rank_in_order(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    let all = group.all_gather("gather", &[this(group.rank()), 255]).unwrap();
    let expected: Vec<[u8; 2]> = (0..group.world_size()).map(|rank| [this(rank), 255]).collect();
    assert_eq!(all, expected);
}

fn lengths_may_differ(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    let bytes = |rank: usize| vec![this(rank); rank * 1000 % 7001];
    let all = group.all_gather("gather", &bytes(group.rank())).unwrap();
    assert_eq!(all, (0..group.world_size()).map(bytes).collect::<Vec<_>>());
}

fn no_bytes_are_bytes(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    assert_eq!(
        group.all_gather("", &[]).unwrap(),
        vec![Vec::<u8>::new(); group.world_size()]
    );
    assert_eq!(group.broadcast("", 0, &[]).unwrap(), b"");
    group.barrier("").unwrap();
}

fn large_messages_arrive_whole(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    let bytes = |rank: usize| -> Vec<u8> {
        (0..8 << 20)
            .map(|place: usize| this((place * 31 + rank) % 251))
            .collect()
    };
    let all = group.all_gather("gather", &bytes(group.rank())).unwrap();
    assert_eq!(all.len(), group.world_size());
    assert!(all.into_iter().enumerate().all(|(rank, found)| found == bytes(rank)));
    let root = last(&*group);
    let mine = if group.rank() == root { bytes(root) } else { Vec::new() };
    assert!(group.broadcast("broadcast", root, &mine).unwrap() == bytes(root));
}

fn every_rank_can_be_the_root_of_a_broadcast(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    for root in 0..group.world_size() {
        let mine = [this(group.rank()); 3];
        assert_eq!(group.broadcast("broadcast", root, &mine).unwrap(), [this(root); 3]);
    }
}

fn a_root_that_does_not_exist_is_an_error_and_no_more(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    let world_size = group.world_size();
    for rank in [world_size, usize::MAX] {
        let error = group.broadcast("from nobody", rank, &[1]).unwrap_err();
        let step = "from nobody".to_owned();
        assert_eq!(error, GroupError::NoSuchRank { step, rank, world_size });
    }
    group.barrier("go on").unwrap();
}

fn a_thousand_steps_follow_each_other(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    for turn in 0..1000_usize {
        let step = format!("step {}", turn % 3);
        let bytes = |rank: usize| vec![this((turn + rank) % 256); (turn + rank) % 5];
        match turn % 4 {
            0 => group.barrier(&step).unwrap(),
            1 => {
                let root = turn % group.world_size();
                assert_eq!(group.broadcast(&step, root, &bytes(group.rank())).unwrap(), bytes(root));
            }
            _ => {
                let all = group.all_gather(&step, &bytes(group.rank())).unwrap();
                assert_eq!(all, (0..group.world_size()).map(bytes).collect::<Vec<_>>());
            }
        }
    }
}

fn a_duplicate_works_beside_the_first_in_another_thread(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    let duplicate = group.duplicate().unwrap();
    let steps = |group: &dyn ProcessGroup, mark: u8| {
        for turn in 0..100 {
            let all = group.all_gather("the same name", &[mark, turn]).unwrap();
            assert_eq!(all, vec![[mark, turn]; group.world_size()]);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| steps(&*duplicate, 2));
        steps(&*group, 1);
    });
}

fn duplicates_of_duplicates_do_not_mix(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    let mut groups = vec![group];
    for _ in 0..4 {
        let next = groups.iter().map(|group| group.duplicate().unwrap());
        let next: Vec<_> = next.take(2).collect();
        groups.extend(next);
    }
    let world_size = groups[0].world_size();
    let mut marked: Vec<_> = groups.iter().enumerate().collect();
    // Every rank begins with another one.
    marked.rotate_left(groups[0].rank() % groups.len());
    thread::scope(|scope| {
        for (mark, group) in marked {
            scope.spawn(move || {
                let all = group.all_gather("the same name", &[this(mark)]).unwrap();
                assert_eq!(all, vec![[this(mark)]; world_size]);
            });
        }
    });
}

fn threads_that_share_a_handle_take_turns(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    let ranks: Vec<[u8; 1]> = (0..group.world_size()).map(|rank| [this(rank)]).collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(group.all_gather("gather", &[this(group.rank())]).unwrap(), ranks);
                }
            });
        }
    });
}

fn a_rank_that_left_is_named_at_once(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    let gone = last(&*group);
    leave(group, gone);
}

fn the_rank_where_messages_meet_may_leave_first(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    leave(group, 0);
}

fn leave(group: Box<dyn ProcessGroup>, gone: usize) {
    if alone(&*group) || group.rank() == gone {
        return;
    }
    let left = GroupError::Left {
        step: "without it".to_owned(),
        left: vec![gone],
    };
    assert_eq!(group.barrier("without it").unwrap_err(), left);
    assert_eq!(group.all_gather("again", &[]).unwrap_err(), left);
}

fn a_rank_may_leave_after_it_has_come(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    group.barrier("together").unwrap();
    let gone = last(&*group);
    if alone(&*group) || group.rank() == gone {
        return;
    }
    let left = GroupError::Left {
        step: "without it".to_owned(),
        left: vec![gone],
    };
    assert_eq!(group.barrier("without it").unwrap_err(), left);
}

fn a_rank_at_another_step_is_named_on_every_rank(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    if alone(&*group) {
        return;
    }
    let lost = last(&*group);
    let step = if group.rank() == lost { "load" } else { "save" };
    match group.all_gather(step, &[]).unwrap_err() {
        // Which two ranks met first is chance; one of them is the one that is elsewhere.
        GroupError::OutOfStep { step, rank, other } if group.rank() == lost => {
            assert_eq!((&*step, &*other), ("load", "save"));
            assert_ne!(rank, lost);
        }
        GroupError::OutOfStep { step, rank, other } => {
            let seen = (&*step, &*other, rank == lost);
            assert!(
                seen == ("save", "load", true) || seen == ("load", "save", false),
                "{seen:?}"
            );
        }
        other => panic!("{other}"),
    }
}

fn another_operation_under_the_same_name_is_another_step(group: Box<dyn ProcessGroup>, _: &dyn ProcessGroup) {
    if alone(&*group) {
        return;
    }
    let error = if group.rank() == 0 {
        group.barrier("same").unwrap_err()
    } else {
        group.broadcast("same", 1, &[]).unwrap_err()
    };
    let message = error.to_string();
    assert!(matches!(error, GroupError::OutOfStep { .. }), "{message}");
    assert!(
        message.contains("same (barrier)") && message.contains("same (broadcast from rank 1)"),
        "{message}"
    );
}

fn a_group_that_failed_stays_failed_and_its_duplicates_work(group: Box<dyn ProcessGroup>, watch: &dyn ProcessGroup) {
    let duplicate = group.duplicate().unwrap();
    if alone(&*group) {
        return;
    }
    let error = group.barrier(&format!("step {}", group.rank().min(1))).unwrap_err();
    assert_eq!(group.barrier("step 0").unwrap_err(), error);
    assert_eq!(group.duplicate().unwrap_err(), error);
    duplicate.barrier("go on").unwrap();
    watch.barrier("go on").unwrap();
}

fn a_rank_that_does_not_come_is_named_and_hears_of_it(group: Box<dyn ProcessGroup>, watch: &dyn ProcessGroup) {
    let late = last(&*group);
    come_late(&*group, watch, late);
}

fn a_first_rank_that_does_not_come_is_named_and_hears_of_it(group: Box<dyn ProcessGroup>, watch: &dyn ProcessGroup) {
    come_late(&*group, watch, 0);
}

fn come_late(group: &dyn ProcessGroup, watch: &dyn ProcessGroup, late: usize) {
    if alone(group) {
        return;
    }
    let error = if group.rank() == late {
        watch.barrier("the others have given up").unwrap();
        group.barrier("rendezvous").unwrap_err()
    } else {
        let error = group.barrier("rendezvous").unwrap_err();
        watch.barrier("the others have given up").unwrap();
        error
    };
    match &error {
        // On a busy machine another rank can be late too.
        GroupError::Timeout { step, missing, .. } => {
            assert_eq!(step, "rendezvous");
            assert!(missing.contains(&late), "{error}");
            assert!(missing.len() < group.world_size(), "{error}");
        }
        other => panic!("{other}"),
    }
    let errors = watch.all_gather("compare", error.to_string().as_bytes()).unwrap();
    assert!(
        errors.iter().all(|other| other == error.to_string().as_bytes()),
        "{errors:?}"
    );
    assert_eq!(group.barrier("later").unwrap_err(), error);
}
