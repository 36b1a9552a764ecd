use std::time::Instant;

use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    part: Instant,
}

fn main() {}
