use std::collections::HashMap;

use fabric_core::Checkpoint;

#[derive(PartialEq, Eq, Hash)]
enum Side {
    Left,
    Right,
}

#[derive(Checkpoint)]
struct TrainState {
    part: HashMap<Side, f32>,
}

fn main() {}
