use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(shard(dim = 0))]
    losses: Vec<f32>,
}

fn main() {}
