use fabric_core::Checkpoint;
use fabric_core::candle_core::Tensor;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(per_rank, buffer)]
    mask: Tensor,
}

fn main() {}
