//! Runs: the checkpoints of a training in one directory, the rules by which they stay, and the resume.

mod faults;
mod keeping;
mod listing;
mod pruning;
mod ranks;
mod resuming;
mod strangers;

use candle_core::{Device, Tensor, Var};
use fabric_core::run::{Builder, Kept, Run};
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric};
use testkit::files::{on, read};

const AT: &str = "runs/gpt";

#[derive(Checkpoint)]
struct State {
    weight: Var,
    step: u64,
}

impl State {
    fn new(step: u64) -> Self {
        let values: Vec<f64> = (0..100)
            .map(|at| f64::from(at) + f64::from(u32::try_from(step).expect("few steps")))
            .collect();
        let weight = Tensor::new(values, &Device::Cpu).expect("memory");
        Self {
            weight: Var::from_tensor(&weight).expect("memory"),
            step,
        }
    }

    /// Fails unless the state is that of `step`, to the last bit.
    #[track_caller]
    fn assert_is(&self, step: u64) {
        let values = |state: &Self| state.weight.to_vec1::<f64>().expect("elements");
        assert_eq!((values(self), self.step), (values(&Self::new(step)), step));
    }
}

fn fabric(memory: &Memory) -> Fabric {
    on(memory.clone())
}

fn opened(memory: &Memory, choose: impl FnOnce(Builder) -> Builder) -> Run {
    choose(Run::at(AT))
        .open(&fabric(memory))
        .expect("a run that no other process holds")
}

/// A run with a checkpoint of each of these steps. Its metric `loss` is 1 / step.
fn with(steps: &[u64], choose: impl FnOnce(Builder) -> Builder) -> (Memory, Run) {
    let memory = Memory::new();
    let mut run = opened(&memory, choose);
    for &step in steps {
        save(&mut run, step);
    }
    (memory, run)
}

fn save(run: &mut Run, step: u64) {
    let loss = 1. / f64::from(u32::try_from(step).expect("few steps"));
    run.save(step, &State::new(step), &[("loss", loss)]).expect("saved");
}

fn steps(run: &Run) -> Vec<u64> {
    run.checkpoints()
        .expect("a readable directory")
        .iter()
        .map(|kept| kept.step)
        .collect()
}

fn latest(run: &Run) -> Kept {
    run.latest().expect("a readable directory").expect("a checkpoint")
}

/// Changes the bytes of a file.
fn change(memory: &Memory, path: &std::path::Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = read(memory, path);
    change(&mut bytes);
    memory.remove_file(path).expect("a file");
    let mut file = memory.create(path).expect("a free name");
    file.write_all(&bytes).expect("memory");
    file.sync().expect("memory");
}

/// Flips a bit of the tensors' bytes.
fn damage(memory: &Memory, kept: &Kept) {
    // The bytes of the weight are the only ones of their kind: 100 floats, of which the second one is found.
    change(memory, &kept.path, |bytes| {
        let second = (1. + f64::from(u32::try_from(kept.step).expect("few steps"))).to_le_bytes();
        let at = bytes
            .windows(8)
            .position(|window| window == second)
            .expect("the second element");
        bytes[at] ^= 1;
    });
}
