use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(shard(dim = 0), shard(dim = 1))]
    layer: Linear,
}

fn main() {}
