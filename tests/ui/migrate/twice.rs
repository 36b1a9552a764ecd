use fabric_core::candle_nn::Linear;
use fabric_core::{Checkpoint, Migrations};

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Self::first, migrate = Self::second)]
struct Model {
    fc: Linear,
}

impl Model {
    fn first(_: &mut Migrations) {}
    fn second(_: &mut Migrations) {}
}

fn main() {}
