use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
#[checkpoint(transparent)]
struct Encoder(Linear);

fn main() {}
