use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    log: std::fs::File,
}

fn main() {}
