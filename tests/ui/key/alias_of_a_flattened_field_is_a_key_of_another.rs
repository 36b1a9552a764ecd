use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Counters {
    #[checkpoint(alias = "epoch")]
    step: u64,
}

#[derive(Checkpoint)]
struct Progress {
    epoch: u64,
}

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(flatten)]
    counters: Counters,
    #[checkpoint(flatten)]
    progress: Progress,
}

fn main() {}
