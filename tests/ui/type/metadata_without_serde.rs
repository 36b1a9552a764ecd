use fabric_core::Checkpoint;

struct HParams {
    rate: f64,
}

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(metadata)]
    hparams: HParams,
}

fn main() {}
