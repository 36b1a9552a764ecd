use fabric_core::Checkpoint;
use fabric_core::candle_nn::VarBuilder;

#[derive(Checkpoint)]
struct TrainState<'a> {
    part: VarBuilder<'a>,
}

fn main() {}
