use fabric_core::Checkpoint;
use fabric_core::candle_nn::ParamsAdamW;

#[derive(Checkpoint)]
struct TrainState {
    part: ParamsAdamW,
}

fn main() {}
