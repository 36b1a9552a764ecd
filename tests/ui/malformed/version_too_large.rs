use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(version = 5_000_000_000)]
struct Model {
    step: u64,
}

fn main() {}
