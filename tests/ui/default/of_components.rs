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

fn main() {
    let mut state = State { model: model() };
    let _ = fabric_core::Fabric::new().load("run/last.ckpt", &mut state);
}
