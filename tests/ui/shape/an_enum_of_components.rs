use fabric_core::Checkpoint;
use fabric_core::optim::{AdamW, Sgd};

#[derive(Checkpoint)]
enum Optimizer {
    Adam(AdamW),
    Sgd(Sgd),
}

fn main() {}
