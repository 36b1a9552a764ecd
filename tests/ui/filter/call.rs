use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(filter = longer_than(3))]
    layer: Linear,
}

fn main() {}
