use fabric_core::Checkpoint;
use fabric_core::candle_core::Tensor;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(metadata)]
    weight: Tensor,
}

fn main() {}
