use std::time::Duration;

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    pair: (Linear, Duration),
}

fn main() {}
