use std::cell::RefCell;

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    part: RefCell<Linear>,
}

fn main() {}
