use fabric_core::Checkpoint;

struct Log;

#[derive(Checkpoint)]
struct TrainState {
    first: Log,
    second: Log,
    third: Option<Log>,
}

fn main() {}
