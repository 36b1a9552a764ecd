use fabric_core::candle_nn::Linear;
use fabric_core::{Checkpoint, Migrations};

fn migrations(_: &mut Migrations) {}

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(migrate = migrations)]
    fc: Linear,
}

#[derive(Checkpoint)]
enum Head {
    #[checkpoint(migrate = migrations)]
    Fc(Linear),
}

fn main() {}
