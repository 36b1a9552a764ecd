use fabric_core::Checkpoint;
use fabric_core::candle_nn::GroupNorm;

#[derive(Checkpoint)]
struct TrainState {
    part: GroupNorm,
}

fn main() {}
