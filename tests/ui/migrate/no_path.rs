use fabric_core::candle_nn::Linear;
use fabric_core::{Checkpoint, Migrations};

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = "Self::migrations")]
struct Text {
    fc: Linear,
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = |m| m.from(1, "nothing moved"))]
struct Closure {
    fc: Linear,
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate)]
struct Alone {
    fc: Linear,
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate(Self::migrations))]
struct Parentheses {
    fc: Linear,
}

impl Text {
    fn migrations(_: &mut Migrations) {}
}

fn main() {}
