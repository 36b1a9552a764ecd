use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(rename = "a", rename = "b")]
    layer: Linear,
}

fn main() {}
