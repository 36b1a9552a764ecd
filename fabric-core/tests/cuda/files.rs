//! States of tensors on a device, and files in memory.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use fabric_core::Fabric;
use fabric_core::storage::Storage as _;
use fabric_core::testing::Memory;

pub(crate) const PATH: &str = "last.ckpt";

/// How many bytes are copied at a time.
pub(crate) const LEN: usize = 4 << 20;

pub(crate) type State = BTreeMap<String, Tensor>;

/// The first device.
pub(crate) fn device() -> Device {
    Device::new_cuda(0).expect("these tests need a CUDA device, and there is none")
}

pub(crate) fn fabric(memory: &Memory) -> Fabric {
    Fabric::builder().storage(memory.clone()).build().expect("one process")
}

/// A tensor of any bits, NaNs among them: `seed` tells two of them apart.
pub(crate) fn tensor(dtype: DType, bytes: usize, seed: u8, device: &Device) -> Tensor {
    let item = dtype.size_in_bytes();
    let bytes: Vec<u8> = (seed..=250).cycle().take(bytes / item * item).collect();
    let tensor = Tensor::from_raw_buffer(&bytes, dtype, &[bytes.len() / item], &Device::Cpu).expect("on the CPU");
    tensor.to_device(device).expect("on the device")
}

/// The same state on another device, by candle's own copies.
pub(crate) fn moved(state: &State, device: &Device) -> State {
    let moved = |(name, tensor): (&String, &Tensor)| {
        let tensor = tensor.to_device(device).and_then(|tensor| tensor.copy());
        (name.clone(), tensor.expect("candle copies it"))
    };
    state.iter().map(moved).collect()
}

/// Zeros in the place of everything.
pub(crate) fn zeros(state: &State, device: &Device) -> State {
    let zeros = |(name, tensor): (&String, &Tensor)| {
        let zeros = Tensor::zeros(tensor.shape(), tensor.dtype(), device);
        (name.clone(), zeros.expect("zeros"))
    };
    state.iter().map(zeros).collect()
}

/// The checkpoint that a state on the CPU is: equal states give equal bytes.
pub(crate) fn file_of(state: &State) -> Vec<u8> {
    let memory = Memory::new();
    fabric(&memory)
        .save(PATH, &moved(state, &Device::Cpu))
        .expect("saved from the CPU");
    read(&memory)
}

pub(crate) fn read(memory: &Memory) -> Vec<u8> {
    let file = memory.open(Path::new(PATH)).expect("it is there");
    let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("it fits")];
    file.read_exact_at(&mut bytes, 0).expect("read");
    bytes
}

pub(crate) fn holding(bytes: &[u8]) -> Memory {
    let memory = Memory::new();
    let mut file = memory.create(Path::new(PATH)).expect("made");
    file.write_all(bytes).expect("written");
    memory
}
