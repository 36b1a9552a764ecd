use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Self::migrations)]
struct Model {
    fc: Linear,
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = history::of_head)]
struct Head {
    fc: Linear,
}

fn main() {}
