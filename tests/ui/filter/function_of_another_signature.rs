use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(filter = weights)]
    layer: Linear,
}

fn weights(name: &str) -> bool {
    name.contains("weight")
}

fn main() {}
