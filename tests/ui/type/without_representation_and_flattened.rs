use fabric_core::Checkpoint;

struct Log;

#[derive(Checkpoint)]
struct TrainState {
    step: u64,
    #[checkpoint(flatten)]
    log: Log,
}

fn main() {}
