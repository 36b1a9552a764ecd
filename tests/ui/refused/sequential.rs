use fabric_core::Checkpoint;
use fabric_core::candle_nn::Sequential;

#[derive(Checkpoint)]
struct TrainState {
    part: Option<Sequential>,
}

fn main() {}
