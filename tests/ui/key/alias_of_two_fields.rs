use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(alias = "net")]
    encoder: Linear,
    #[checkpoint(alias = "net")]
    decoder: Linear,
}

fn main() {}
