use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
struct Encoder(#[checkpoint(rename = "encoder", alias = "old", flatten)] Linear);

#[derive(Checkpoint)]
struct Step(#[checkpoint(filter = "weight")] u64);

fn main() {}
