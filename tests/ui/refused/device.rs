use fabric_core::Checkpoint;
use fabric_core::candle_core::Device;

#[derive(Checkpoint)]
struct TrainState {
    part: Device,
}

fn main() {}
