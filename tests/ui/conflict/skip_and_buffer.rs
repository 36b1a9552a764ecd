use fabric_core::Checkpoint;
use fabric_core::candle_core::Tensor;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(skip, buffer)]
    mask: Tensor,
    step: u64,
}

fn main() {}
