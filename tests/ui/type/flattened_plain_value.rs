use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(flatten)]
    iteration: u64,
}

fn main() {}
