//! Tensors that show a part of their memory.

use candle_core::{DType, Device, Tensor};
use fabric_core::Saving;
use fabric_core::testing::Memory;

use super::files::{LEN, PATH, State, device, fabric, file_of, holding, read, tensor};

fn only(tensor: Tensor) -> State {
    State::from([("weight".to_owned(), tensor)])
}

/// Sixteen-bit numbers in rows of 1000, more than two buffers of them.
fn rows(seed: u8, device: &Device) -> Tensor {
    let rows = 3 * LEN / 2000;
    let tensor = tensor(DType::I16, 2000 * rows, seed, device);
    tensor.reshape((rows, 1000)).expect("rows")
}

#[test]
fn a_narrow_window_is_saved_and_what_lies_beside_it_is_not() {
    let whole = rows(1, &device());
    for (from, len) in [(0, 1), (1, 700), (3, 5000), (whole.dims()[0] - 2, 2)] {
        let state = only(whole.narrow(0, from, len).expect("a window"));
        let memory = Memory::new();
        fabric(&memory).save(PATH, &state).expect("saved");
        let host = whole
            .to_device(&Device::Cpu)
            .and_then(|whole| whole.narrow(0, from, len));
        let host = only(host.expect("the same window"));
        assert!(read(&memory) == file_of(&host), "{len} rows from {from}");
    }
}

#[test]
fn a_narrow_window_is_loaded_and_what_lies_beside_it_stays() {
    let device = device();
    for (from, len) in [(0, 1), (1, 700), (3, 5000)] {
        let (whole, other) = (rows(1, &device), rows(2, &Device::Cpu));
        let before = whole.to_device(&Device::Cpu).expect("a copy");
        let window = other.narrow(0, from, len).and_then(|window| window.force_contiguous());
        let window = window.expect("a window");
        let mut state = only(whole.narrow(0, from, len).expect("the same window"));
        fabric(&holding(&file_of(&only(window.clone()))))
            .load(PATH, &mut state)
            .expect("loaded");
        let rest = before.dims()[0] - from - len;
        let parts = [
            before.narrow(0, 0, from).expect("above"),
            window,
            before.narrow(0, from + len, rest).expect("below"),
        ];
        let expected = Tensor::cat(&parts, 0).expect("put together");
        assert!(
            file_of(&only(whole)) == file_of(&only(expected)),
            "{len} rows from {from}"
        );
    }
}

#[test]
fn a_strided_view_is_saved_in_row_major_order() {
    let view = rows(1, &device()).t().and_then(|view| view.narrow(0, 3, 500));
    let state = only(view.expect("a view"));
    let host = state["weight"]
        .to_device(&Device::Cpu)
        .and_then(|view| view.force_contiguous());
    let expected = file_of(&only(host.expect("on the CPU")));
    let memory = Memory::new();
    let fabric = fabric(&memory);
    fabric.save(PATH, &state).expect("saved");
    assert!(read(&memory) == expected);
    fabric.save_async(PATH, &state).and_then(Saving::wait).expect("saved");
    assert!(read(&memory) == expected, "in the background");
}
