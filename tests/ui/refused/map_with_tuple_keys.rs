use std::collections::BTreeMap;

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    part: BTreeMap<(u32, u32), Linear>,
}

fn main() {}
