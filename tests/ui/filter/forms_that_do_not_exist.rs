use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(filter = regex("w.*"))]
    a: Linear,
    #[checkpoint(filter = not("bias"))]
    b: Linear,
    #[checkpoint(filter = any("weight", "bias"))]
    c: Linear,
    #[checkpoint(filter = ["weight", "bias"])]
    d: Linear,
    #[checkpoint(filter = "weight" | "bias")]
    e: Linear,
    #[checkpoint(filter = !"bias")]
    f: Linear,
}

fn main() {}
