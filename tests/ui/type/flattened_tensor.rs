use fabric_core::Checkpoint;
use fabric_core::candle_core::{Tensor, Var};

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(flatten)]
    weight: Tensor,
    #[checkpoint(flatten)]
    bias: Option<Var>,
    step: u64,
}

fn main() {}
