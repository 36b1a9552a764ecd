use fabric_core::Checkpoint;
use fabric_core::candle_nn::AdamW;

#[derive(Checkpoint)]
struct TrainState {
    part: AdamW,
}

fn main() {}
