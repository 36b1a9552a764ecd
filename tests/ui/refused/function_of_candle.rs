use fabric_core::Checkpoint;
use fabric_core::candle_nn::Func;

#[derive(Checkpoint)]
struct TrainState {
    part: Func<'static>,
}

fn main() {}
