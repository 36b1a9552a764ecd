use std::collections::HashMap;

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    part: HashMap<u32, Linear>,
}

fn main() {}
