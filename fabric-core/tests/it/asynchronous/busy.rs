//! One save at a time: a second one waits, is skipped, or fails; other calls wait.

use fabric_core::group::ThreadGroup;
use fabric_core::{Error, SaveOptions, Strategy, WhenBusy};

use super::nested::within_a_minute;
use super::odd::{Gate, Odd};
use super::state::{State, on, saved};

#[test]
fn a_second_save_is_skipped_or_fails_as_asked() {
    let gate = Gate::default();
    let storage = Odd::behind(&gate);
    let memory = storage.memory.clone();
    let fabric = on(storage).build().expect("one device");
    let first = fabric.save_async("run/first", &State::new(1)).expect("started");
    let second = State::new(2);

    let skip = || SaveOptions::new().when_busy(WhenBusy::Skip);
    let skipped = fabric.save_async_with("second", &second, skip()).expect("skipped");
    assert!(skipped.is_skipped() && skipped.is_finished());
    let report = skipped.wait().expect("no error");
    assert!(report.skipped);
    assert_eq!((report.entries, report.bytes), (0, 0));

    let fail = SaveOptions::new().when_busy(WhenBusy::Fail);
    let error = fabric
        .save_async_with("second", &second, fail.clone())
        .expect_err("busy");
    assert!(
        matches!(&error, Error::Busy { path } if path.ends_with("run/first")),
        "{error}"
    );

    gate.open();
    assert!(!first.wait().expect("saved").skipped);
    assert!(fabric.open("second").is_err(), "neither was saved");
    for options in [skip(), fail] {
        let saving = fabric
            .save_async_with("second", &second, options)
            .expect("nobody is busy");
        assert!(!saving.is_skipped());
        assert!(!saving.wait().expect("saved").skipped);
    }
    assert!(saved(memory.clone(), "run/first") == State::new(1).contents());
    assert!(saved(memory, "second") == second.contents());
}

/// Opens the gate from another thread, so that what waits for it can be called meanwhile.
fn soon(gate: &Gate) -> std::thread::JoinHandle<()> {
    let gate = gate.clone();
    std::thread::spawn(move || gate.open())
}

#[test]
fn a_second_save_waits_for_the_first_and_is_of_the_state_at_its_own_call() {
    let gate = Gate::default();
    let storage = Odd::behind(&gate);
    let memory = storage.memory.clone();
    let fabric = on(storage).build().expect("one device");
    let first = fabric.save_async("last", &State::new(1)).expect("started");
    let opener = soon(&gate);
    let second = fabric.save_async("last", &State::new(2)).expect("started");
    assert!(first.is_finished(), "the second began when the first had ended");
    second.wait().expect("saved");
    first.wait().expect("saved");
    assert!(saved(memory, "last") == State::new(2).contents());
    opener.join().expect("no panic");
}

#[test]
fn a_load_or_a_plain_save_comes_after_the_save_in_the_background() {
    for plain_save in [false, true] {
        let gate = Gate::default();
        let fabric = on(Odd::behind(&gate)).build().expect("one device");
        fabric.save_async("last", &State::new(1)).expect("started").detach();
        let opener = soon(&gate);
        let mut state = State::new(2);
        if plain_save {
            fabric.clone().save("last", &state).expect("saved");
            state = State::new(3);
        }
        fabric.clone().load("last", &mut state).expect("loaded");
        let expected = State::new(if plain_save { 2 } else { 1 });
        assert!(state.contents() == expected.contents());
        opener.join().expect("no panic");
    }
}

#[test]
fn skip_and_fail_answer_at_once_whatever_other_threads_wait_for() {
    within_a_minute(|| {
        let gate = Gate::default();
        let fabric = on(Odd::behind(&gate)).build().expect("one device");
        let first = fabric.save_async("first", &State::new(1)).expect("started");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let saving = fabric.save_async("waits", &State::new(2)).expect("started");
                    saving.wait().expect("saved")
                });
                scope.spawn(|| fabric.save("waits", &State::new(3)).expect("saved"));
                scope.spawn(|| fabric.open("first").expect("saved").len());
                scope.spawn(|| fabric.wait().expect("saved"));
            }
            for _ in 0..20 {
                let asked = |when_busy| {
                    let options = SaveOptions::new().when_busy(when_busy);
                    fabric.save_async_with("second", &State::new(4), options)
                };
                assert!(asked(WhenBusy::Skip).expect("skipped").is_skipped());
                let error = asked(WhenBusy::Fail).expect_err("busy");
                assert!(
                    matches!(&error, Error::Busy { path } if path.ends_with("first")),
                    "{error}"
                );
                // The other threads come to where they wait.
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            gate.open();
        });
        first.wait().expect("saved");
        assert!(fabric.open("second").is_err(), "it was never saved");
    });
}

#[test]
fn skip_and_fail_answer_at_once_on_all_ranks_while_another_thread_of_each_waits() {
    within_a_minute(|| {
        let gate = Gate::default();
        let storage = Odd::behind(&gate);
        let mut skipped = Vec::new();
        std::thread::scope(|scope| {
            let mut ranks = Vec::new();
            for group in ThreadGroup::new(2) {
                let storage = storage.clone();
                ranks.push(scope.spawn(move || {
                    let builder = on(storage).strategy(Strategy::ddp()).process_group(group);
                    let fabric = builder.build().expect("two ranks");
                    let first = fabric.save_async("first", &State::new(1)).expect("started");
                    let waits = std::thread::spawn({
                        let fabric = fabric.clone();
                        move || fabric.save_async("waits", &State::new(2))?.wait()
                    });
                    let mut answers = Vec::new();
                    for when_busy in [WhenBusy::Skip, WhenBusy::Fail].into_iter().cycle().take(20) {
                        // The other thread comes to where it waits.
                        std::thread::sleep(std::time::Duration::from_millis(2));
                        let options = SaveOptions::new().when_busy(when_busy);
                        answers.push(match fabric.save_async_with("second", &State::new(3), options) {
                            Ok(saving) => saving.is_skipped(),
                            Err(Error::Busy { .. }) => true,
                            Err(error) => panic!("{error}"),
                        });
                    }
                    (answers, first, waits)
                }));
            }
            for rank in ranks {
                skipped.push(rank.join().expect("no panic"));
            }
            gate.open();
        });
        for (answers, first, waits) in skipped {
            assert_eq!(answers, [true; 20]);
            first.wait().expect("saved");
            waits.join().expect("no panic").expect("saved");
        }
    });
}
