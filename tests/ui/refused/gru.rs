use fabric_core::Checkpoint;
use fabric_core::candle_nn::GRU;

#[derive(Checkpoint)]
struct TrainState {
    part: GRU,
}

fn main() {}
