use fabric_core::candle_nn::Linear;
use fabric_core::{Checkpoint, Migrations};

#[derive(Checkpoint)]
#[checkpoint(migrate = Model::migrations)]
struct Model {
    fc: Linear,
}

impl Model {
    fn migrations(_: &mut Migrations) {}
}

fn main() {}
