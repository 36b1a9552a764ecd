//! A state of large and small tensors, and somebody who writes down how far its saves and loads are.

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor, Var};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, Progress};
pub(crate) use testkit::files::on;

pub(crate) const MIB: u64 = 1 << 20;

/// Longer than what is read or written at a time, small, strided, empty.
#[derive(Checkpoint)]
pub(crate) struct State {
    large: Var,
    transposed: Tensor,
    small: Vec<Tensor>,
    empty: Tensor,
    pub(crate) step: u64,
}

impl State {
    /// The bytes of its tensors.
    pub(crate) const BYTES: u64 = 40 * MIB + 4 * 500 * 1001 + 200 * 64;

    pub(crate) fn new(value: f32, step: u64) -> Self {
        let full = |shape: &[usize]| Tensor::full(value, shape, &Device::Cpu).expect("memory");
        Self {
            large: Var::from_tensor(&full(&[10, 1 << 20])).expect("memory"),
            transposed: full(&[500, 1001]).t().expect("two dimensions"),
            small: (0..200).map(|_| full(&[16])).collect(),
            empty: Tensor::zeros((0, 3), DType::F32, &Device::Cpu).expect("nothing"),
            step,
        }
    }

    /// Whether every element is this.
    pub(crate) fn is(&self, value: f32) -> bool {
        let tensors = self.small.iter().chain([&*self.large, &self.transposed]);
        let mut values = tensors.flat_map(|tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()));
        values.all(|values| values.iter().all(|each| each.to_bits() == value.to_bits()))
    }
}

/// A state without tensors.
#[derive(Checkpoint)]
pub(crate) struct Values {
    pub(crate) step: u64,
}

/// A checkpoint of a state whose elements are all 1.
pub(crate) fn saved() -> (Memory, Fabric) {
    let memory = Memory::new();
    let fabric = on(memory.clone());
    fabric.save("last", &State::new(1., 7)).expect("saved");
    (memory, fabric)
}

/// One call of a callback.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) done: u64,
    pub(crate) in_all: u64,
    pub(crate) entry: String,
    pub(crate) thread: String,
}

/// Every call of a callback.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    /// Writes down. Two calls at a time would find each other's lock.
    pub(crate) fn callback(&self) -> impl Fn(&Progress<'_>) + Send + Sync + 'static {
        let calls = self.clone();
        move |progress| {
            let mut calls = calls.0.try_lock().expect("nobody else is called meanwhile");
            calls.push(Call {
                done: progress.bytes_done,
                in_all: progress.bytes_in_all,
                entry: progress.entry.to_owned(),
                thread: std::thread::current().name().unwrap_or_default().to_owned(),
            });
        }
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        self.0.lock().expect("no panic").clone()
    }

    /// The calls, which only went forward, in steps of at most `longest`, up to the end, and said of that what it is.
    pub(crate) fn ended(&self, in_all: u64, longest: u64) -> Vec<Call> {
        let calls = self.all();
        let mut done = 0;
        for call in &calls {
            assert!(call.done > done && call.in_all == in_all, "after {done}: {call:?}");
            assert!(call.done - done <= longest, "after {done}: {call:?}");
            done = call.done;
        }
        assert_eq!(done, in_all, "the last call says that all is done");
        calls
    }
}

/// A callback with a bug.
pub(crate) fn buggy(progress: &Progress<'_>) {
    assert!(progress.bytes_done < 5 * MIB, "the bar has a bug");
}

/// What a panic says.
pub(crate) fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().expect("a text")
}
