use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(crate = "Self::fabric")]
struct Model {
    step: u64,
}

fn main() {}
