use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Seen(#[checkpoint(per_rank)] u64);

#[derive(Checkpoint)]
struct Position {
    #[checkpoint(flatten)]
    seen: Seen,
    step: u64,
}

fn main() {}
