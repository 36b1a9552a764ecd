use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(filter = "fc?.weight")]
    a: Linear,
    #[checkpoint(filter = "weigh[t]")]
    b: Linear,
    #[checkpoint(filter = "weight|bias")]
    c: Linear,
    #[checkpoint(filter = "crate::keep")]
    d: Linear,
    #[checkpoint(filter = "!bias")]
    e: Linear,
}

fn main() {}
