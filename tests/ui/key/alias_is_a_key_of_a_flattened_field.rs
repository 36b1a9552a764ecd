use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Counters {
    step: u64,
}

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(alias = "step")]
    iteration: u64,
    #[checkpoint(flatten)]
    counters: Counters,
}

fn main() {}
