use std::sync::RwLock;

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    part: RwLock<Linear>,
}

fn main() {}
