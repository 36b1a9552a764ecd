use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(shard(dimension = 0, mesh = "tp"))]
    model: Linear,
}

fn main() {}
