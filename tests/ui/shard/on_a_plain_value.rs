use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(shard(dim = 0))]
    iteration: u64,
}

fn main() {}
