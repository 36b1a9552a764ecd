use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Marker;

fn main() {}
