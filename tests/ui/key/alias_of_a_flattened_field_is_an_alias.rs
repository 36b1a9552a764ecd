use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Counters {
    #[checkpoint(alias = "iter")]
    step: u64,
}

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(alias = "iter")]
    iteration: u64,
    #[checkpoint(flatten)]
    counters: Counters,
}

fn main() {}
