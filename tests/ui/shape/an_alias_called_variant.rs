use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Layer {
    #[checkpoint(alias = "variant")]
    inner: Linear,
}

#[derive(Checkpoint)]
enum Model {
    Dense {
        #[checkpoint(alias = "variant")]
        inner: Linear,
    },
}

#[derive(Checkpoint)]
enum Other {
    Dense(Layer),
}

fn main() {}
