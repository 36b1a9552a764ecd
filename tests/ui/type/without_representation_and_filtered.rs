use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(filter = "weight")]
    log: std::fs::File,
}

fn main() {}
