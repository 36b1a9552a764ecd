use fabric_core::Checkpoint;
use fabric_core::optim::{AdamW, Sgd};

#[derive(Checkpoint)]
enum Inner {
    AdamW(AdamW),
    Sgd(Sgd),
}

#[derive(Checkpoint)]
enum Outer {
    Grouped(Inner),
    Single(AdamW),
}

fn main() {}
