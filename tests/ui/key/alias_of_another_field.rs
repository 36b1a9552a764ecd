use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    encoder: Linear,
    #[checkpoint(alias = "encoder")]
    decoder: Linear,
}

fn main() {}
