use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Empty {}

fn main() {}
