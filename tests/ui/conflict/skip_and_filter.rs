use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(skip, filter = "weight")]
    layer: Linear,
    step: u64,
}

fn main() {}
