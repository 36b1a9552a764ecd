use std::sync::Mutex;

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    part: Mutex<Linear>,
}

fn main() {}
