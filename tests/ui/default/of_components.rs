use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

fn model() -> Linear {
    unreachable!()
}

#[derive(Checkpoint)]
struct State {
    #[checkpoint(default = model)]
    model: Linear,
}

fn main() {}
