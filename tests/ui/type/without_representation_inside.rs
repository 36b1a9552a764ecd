use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    logs: Vec<std::fs::File>,
}

fn main() {}
