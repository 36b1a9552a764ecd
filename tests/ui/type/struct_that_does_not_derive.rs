use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

struct Mlp {
    fc1: Linear,
}

#[derive(Checkpoint)]
struct TrainState {
    model: Mlp,
    iteration: u64,
}

fn main() {}
