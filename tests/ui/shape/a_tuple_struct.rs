use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Pair(u64, u64);

fn main() {}
