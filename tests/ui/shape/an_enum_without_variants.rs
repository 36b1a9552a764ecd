use fabric_core::Checkpoint;

#[derive(Checkpoint)]
enum Never {}

fn main() {}
