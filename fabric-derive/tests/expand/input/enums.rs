use fabric_core::candle_core::Device;
use fabric_core::optim::{AdamW, Sgd};

#[derive(Checkpoint)]
#[checkpoint(rename_all = "snake_case")]
enum Phase {
    Warmup,
    #[checkpoint(alias = "main")]
    Training,
}

#[derive(Checkpoint)]
enum Decay {
    Off,
    Fixed(f64),
    Cosine { warmup: u64, #[checkpoint(alias = "total")] steps: u64 },
}

#[derive(Checkpoint)]
enum Optimizer {
    AdamW(AdamW),
    Sgd {
        inner: Sgd,
        #[checkpoint(skip)]
        device: Device,
    },
}
