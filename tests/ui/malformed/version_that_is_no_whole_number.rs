use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(version = -1)]
struct Negative {
    step: u64,
}

#[derive(Checkpoint)]
#[checkpoint(version = 1.2.3)]
struct Dotted {
    step: u64,
}

#[derive(Checkpoint)]
#[checkpoint(version = 1.5)]
struct Fraction {
    step: u64,
}

fn main() {}
