use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(flatten, rename = "net")]
    layer: Linear,
}

fn main() {}
