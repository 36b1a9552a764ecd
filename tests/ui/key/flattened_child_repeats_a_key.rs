use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Counters {
    step: u64,
    epoch: u64,
}

#[derive(Checkpoint)]
struct TrainState {
    step: u64,
    #[checkpoint(flatten)]
    counters: Counters,
}

fn main() {}
