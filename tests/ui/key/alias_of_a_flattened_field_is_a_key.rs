use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Counters {
    #[checkpoint(alias = "iteration")]
    step: u64,
}

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(flatten)]
    counters: Counters,
    iteration: u64,
}

fn main() {}
