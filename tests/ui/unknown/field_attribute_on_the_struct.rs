use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(skip)]
struct Model {
    step: u64,
}

fn main() {}
