use fabric_core::candle_core::Device;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Step(u64);

#[derive(Checkpoint)]
struct Pair(
    Linear,
    #[checkpoint(skip)] Device,
    #[checkpoint(rename = "scale", default)] f64,
);

#[derive(Checkpoint)]
struct Marker;
