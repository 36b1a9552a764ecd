use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState<'a> {
    models: Vec<Option<&'a Linear>>,
}

fn main() {}
