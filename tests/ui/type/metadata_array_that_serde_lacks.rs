use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(metadata)]
    seed: [u8; 64],
}

fn main() {}
