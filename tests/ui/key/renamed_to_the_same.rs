use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(rename = "net")]
    model: Linear,
    #[checkpoint(rename = "net")]
    teacher: Linear,
}

fn main() {}
