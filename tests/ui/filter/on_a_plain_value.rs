use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(filter = "weight")]
    iteration: u64,
}

fn main() {}
