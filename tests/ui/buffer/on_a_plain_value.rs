use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(buffer)]
    batches: u64,
}

fn main() {}
