use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(transient)]
    log: String,
    #[checkpoint(replicated)]
    norm: Linear,
    #[checkpoint(split(dim = 0), frozen)]
    head: Linear,
    #[checkpoint(with = "module", skip_if = "Vec::is_empty")]
    losses: Vec<f32>,
    #[checkpoint(transparent)]
    model: Linear,
}

fn main() {}
