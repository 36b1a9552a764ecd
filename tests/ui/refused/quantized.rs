use fabric_core::Checkpoint;
use fabric_core::candle_core::quantized::QMatMul;

#[derive(Checkpoint)]
struct TrainState {
    part: QMatMul,
}

fn main() {}
