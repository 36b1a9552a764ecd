use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(filter = "weight", filter = "bias")]
    layer: Linear,
}

fn main() {}
