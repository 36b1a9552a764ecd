use std::rc::Rc;

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    part: Rc<Linear>,
}

fn main() {}
