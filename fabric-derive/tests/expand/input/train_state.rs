use fabric_core::candle_core::Device;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(filter = "weight")]
    model: Linear,
    iteration: u64,
    #[checkpoint(metadata)]
    hparams: std::collections::BTreeMap<String, f64>,
    #[checkpoint(skip)]
    device: Device,
}
