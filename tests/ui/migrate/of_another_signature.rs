use fabric_core::candle_nn::Linear;
use fabric_core::{Checkpoint, Migrations};

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = by_value)]
struct Model {
    fc: Linear,
}

fn by_value(m: Migrations) {
    drop(m);
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Self::migrations)]
struct Returning {
    fc: Linear,
}

impl Returning {
    fn migrations(m: &mut Migrations) -> &mut Migrations {
        m.from(1, "nothing moved")
    }
}

fn main() {}
