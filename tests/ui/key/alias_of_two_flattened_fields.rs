use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Counters {
    #[checkpoint(alias = "iter")]
    step: u64,
}

#[derive(Checkpoint)]
struct Inner {
    #[checkpoint(alias = "iter")]
    epoch: u64,
}

#[derive(Checkpoint)]
struct Progress {
    #[checkpoint(flatten)]
    inner: Option<Box<Inner>>,
}

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(flatten)]
    counters: Counters,
    #[checkpoint(flatten)]
    progress: Progress,
}

fn main() {}
