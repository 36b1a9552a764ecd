use fabric_core::Checkpoint;
use fabric_core::candle_nn::LSTM;

#[derive(Checkpoint)]
struct TrainState {
    part: Vec<LSTM>,
}

fn main() {}
