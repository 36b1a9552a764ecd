use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(crate = "facade::super::fabric")]
struct Model {
    step: u64,
}

fn main() {}
