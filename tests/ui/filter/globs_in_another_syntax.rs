use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(filter = glob("{weight,bias}"))]
    a: Linear,
    #[checkpoint(filter = glob("!bias"))]
    b: Linear,
    #[checkpoint(filter = glob("weight|bias"))]
    c: Linear,
    #[checkpoint(filter = glob("^weight$"))]
    d: Linear,
}

fn main() {}
