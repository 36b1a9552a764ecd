use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(version = "2")]
struct Model {
    step: u64,
}

fn main() {}
