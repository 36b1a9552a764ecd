use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(crate = "my fabric")]
struct Model {
    step: u64,
}

fn main() {}
