//! A device works while the host goes on, and so do saves in the background.

use candle_core::{DType, Device, Tensor, Var};
use fabric_core::testing::Memory;
use fabric_core::{Fabric, Saving};

use super::files::{LEN, PATH, State, device, fabric, file_of, holding, read, tensor};

/// Variables, longer and shorter than a buffer.
fn variables(device: &Device) -> Vec<Var> {
    let lens = [5 * LEN + 44, 1000, LEN, 2 * LEN + 4].into_iter().zip(1..);
    let all = lens.map(|(len, seed)| Var::from_tensor(&tensor(DType::F32, len, seed, device)));
    all.collect::<Result<_, _>>().expect("variables")
}

fn state_of(variables: &[Var]) -> State {
    let named = variables.iter().zip(0..);
    named
        .map(|(variable, number)| (format!("weight{number}"), variable.as_tensor().clone()))
        .collect()
}

#[test]
fn the_state_at_the_call_is_saved_though_it_changes_at_once() {
    let device = device();
    for staging in [1 << 30, 5 << 20, 0] {
        let memory = Memory::new();
        let builder = Fabric::builder().storage(memory.clone());
        let fabric = builder.staging(staging).build().expect("one process");
        for _ in 0..5 {
            let variables = variables(&device);
            let state = state_of(&variables);
            let expected = file_of(&state);
            let saving = fabric.save_async(PATH, &state).expect("started");
            for variable in &variables {
                variable.set(&variable.zeros_like().expect("zeros")).expect("set");
            }
            saving.wait().expect("saved");
            assert!(read(&memory) == expected, "staging {staging}");
            assert!(file_of(&state) != expected, "it was overwritten");
        }
    }
}

/// Gives the device so much work that it is not done when this returns. In the end the variable holds `last`.
fn much_work(variable: &Var, last: &Tensor) {
    let other = last.zeros_like().expect("zeros");
    for _ in 0..1000 {
        variable.set(&other).expect("given to the device");
        variable.set(last).expect("given to the device");
    }
}

#[test]
fn what_the_device_was_told_before_a_save_is_in_it_whichever_thread_saves() {
    let device = device();
    for background in [false, true] {
        let last = tensor(DType::F32, 8 * LEN, 1, &device);
        let variable = Var::from_tensor(&last.zeros_like().expect("zeros")).expect("a variable");
        let state = state_of(std::slice::from_ref(&variable));
        let memory = Memory::new();
        let fabric = fabric(&memory);
        much_work(&variable, &last);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let saved = if background {
                    fabric.save_async(PATH, &state).and_then(Saving::wait)
                } else {
                    fabric.save(PATH, &state)
                };
                saved.expect("saved")
            });
        });
        let expected = State::from([("weight0".to_owned(), last)]);
        assert!(read(&memory) == file_of(&expected), "in the background: {background}");
    }
}

#[test]
fn what_the_device_was_told_before_a_load_does_not_undo_it() {
    let device = device();
    let last = tensor(DType::F32, 8 * LEN, 1, &device);
    let variable = Var::from_tensor(&last.zeros_like().expect("zeros")).expect("a variable");
    let saved = tensor(DType::F32, 8 * LEN, 2, &Device::Cpu);
    let file = file_of(&State::from([("weight0".to_owned(), saved)]));
    let fabric = fabric(&holding(&file));
    let mut state = state_of(std::slice::from_ref(&variable));
    much_work(&variable, &last);
    std::thread::scope(|scope| {
        scope.spawn(|| fabric.load(PATH, &mut state).expect("loaded"));
    });
    // What this thread tells the device next sees what was loaded.
    let after = State::from([("weight0".to_owned(), variable.as_tensor().copy().expect("a copy"))]);
    assert!(file_of(&after) == file);
}
