use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(shard(1, "tp"))]
    model: Linear,
    #[checkpoint(shard(dim: 0))]
    head: Linear,
    #[checkpoint(shard("tp"))]
    table: Linear,
}

fn main() {}
