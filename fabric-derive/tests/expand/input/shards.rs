use fabric_core::candle_core::Tensor;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Parallel {
    #[checkpoint(shard(dim = 0))]
    rows: Linear,
    #[checkpoint(shard(dim = 0), shard(dim = 1, axis = "tp"))]
    grid: Tensor,
    #[checkpoint(buffer)]
    positions: Tensor,
}
