use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(rename = "net" optional)]
    layer: Linear,
}

fn main() {}
