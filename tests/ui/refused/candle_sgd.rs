use fabric_core::Checkpoint;
use fabric_core::candle_nn::SGD;

#[derive(Checkpoint)]
struct TrainState {
    part: SGD,
}

fn main() {}
