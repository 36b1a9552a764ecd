use std::fs::File;

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    pair: (Linear, File),
}

fn main() {}
