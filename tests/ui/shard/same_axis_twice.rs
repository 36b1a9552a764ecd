use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(shard(dim = 0, axis = "tp"), shard(dim = 1, axis = "tp"))]
    layer: Linear,
}

fn main() {}
