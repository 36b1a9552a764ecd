use std::sync::{Arc, Mutex};

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    part: Option<Arc<Mutex<Linear>>>,
}

fn main() {}
