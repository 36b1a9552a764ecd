use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(crate = "facade::fabric_core")]
struct TrainState {
    #[checkpoint(filter = "weight")]
    model: fabric_core::candle_nn::Linear,
    step: u64,
}

fn main() {}
