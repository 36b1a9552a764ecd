use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
}
