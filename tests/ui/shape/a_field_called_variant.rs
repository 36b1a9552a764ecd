use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
enum Block {
    Dense(Linear),
    Mixed {
        inner: Linear,
        variant: u64,
    },
}

fn main() {}
