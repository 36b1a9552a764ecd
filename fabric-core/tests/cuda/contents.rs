//! What is saved is what the device holds, and what is loaded arrives there.

use candle_core::{DType, Device, Tensor, Var};
use fabric_core::LoadOptions;
use fabric_core::testing::Memory;

use super::files::{LEN, PATH, State, device, fabric, file_of, holding, moved, read, tensor, zeros};

const TYPES: [DType; 10] = [
    DType::U8,
    DType::U32,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::F8E4M3,
    DType::F16,
    DType::BF16,
    DType::F32,
    DType::F64,
];

/// Every element type, in lengths around those of blocks and buffers.
fn all(device: &Device) -> State {
    let lens = [0, 8, 1 << 20, LEN - 8, LEN, LEN + 8, 2 * LEN, 5 * LEN + 4104];
    let mut state = State::new();
    for (dtype, seed) in TYPES.into_iter().zip(0..) {
        for len in lens {
            state.insert(
                format!("{}.{len}", dtype.as_str()),
                tensor(dtype, len, 7 * seed + 1, device),
            );
        }
    }
    state
}

#[test]
fn a_save_from_the_device_is_the_file_of_the_cpu() {
    let state = all(&device());
    let memory = Memory::new();
    fabric(&memory).save(PATH, &state).expect("saved");
    assert!(read(&memory) == file_of(&state));
}

#[test]
fn a_file_of_the_cpu_is_loaded_onto_the_device_bit_for_bit() {
    let (host, device) = (all(&Device::Cpu), device());
    let file = file_of(&host);
    let mut state = zeros(&host, &device);
    fabric(&holding(&file)).load(PATH, &mut state).expect("loaded");
    assert!(state.values().all(|tensor| tensor.device().is_cuda()));
    assert!(file_of(&state) == file);
}

#[test]
fn a_file_of_the_device_is_loaded_onto_the_cpu_bit_for_bit() {
    let state = all(&device());
    let memory = Memory::new();
    let fabric = fabric(&memory);
    fabric.save(PATH, &state).expect("saved");
    let mut host = zeros(&state, &Device::Cpu);
    fabric.load(PATH, &mut host).expect("loaded");
    assert!(file_of(&host) == file_of(&moved(&state, &Device::Cpu)));
}

#[test]
fn single_entries_are_read_onto_the_device() {
    let (host, device) = (all(&Device::Cpu), device());
    let file = file_of(&host);
    let raw = fabric(&holding(&file)).open(PATH).expect("opened");
    let read = |name: &String| (name.clone(), raw.tensor(name, &device).expect("read"));
    let state: State = host.keys().map(read).collect();
    assert!(file_of(&state) == file);
}

#[test]
fn a_variable_stays_itself_and_tied_tensors_stay_tied() {
    let device = device();
    let own = Var::from_tensor(&tensor(DType::F32, 3 * LEN, 1, &device)).expect("a variable");
    let names = ["embedding", "head"].map(str::to_owned);
    let mut state = State::from(names.clone().map(|name| (name, own.as_tensor().clone())));
    let memory = Memory::new();
    let fabric = fabric(&memory);
    fabric.save(PATH, &state).expect("saved");
    let expected = file_of(&State::from([(names[0].clone(), own.as_tensor().clone())]));
    own.set(&own.zeros_like().expect("zeros")).expect("set");
    fabric.load(PATH, &mut state).expect("loaded");
    // The variable that nobody handed over shows what was loaded, and so does each name.
    assert!(file_of(&State::from([(names[0].clone(), own.as_tensor().clone())])) == expected);
    for name in &names {
        assert!(file_of(&State::from([(names[0].clone(), state[name].clone())])) == expected);
    }
    // Stored once.
    assert!(read(&memory).len() < 4 * LEN);
}

#[test]
fn element_types_are_converted_if_asked_to() {
    let device = device();
    let host = State::from(["weight".to_owned()].map(|name| {
        let numbers = Tensor::arange(0f32, 1_500_000., &Device::Cpu).expect("f32");
        (name, numbers)
    }));
    let double = |tensor: &Tensor| tensor.to_dtype(DType::F64).expect("f64");
    let mut state: State = host
        .iter()
        .map(|(name, tensor)| (name.clone(), double(tensor).zeros_like().expect("zeros")))
        .map(|(name, tensor)| (name, tensor.to_device(&device).expect("on the device")))
        .collect();
    fabric(&holding(&file_of(&host)))
        .load_with(PATH, &mut state, LoadOptions::new().cast(true))
        .expect("loaded");
    let expected: State = host
        .iter()
        .map(|(name, tensor)| (name.clone(), double(tensor)))
        .collect();
    assert!(file_of(&state) == file_of(&expected));
}
