use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(rename-all = "camelCase")]
struct TrainState {
    #[checkpoint(per-rank)]
    position: u64,
}

fn main() {}
