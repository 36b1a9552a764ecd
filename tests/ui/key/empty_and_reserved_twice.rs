use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    #[checkpoint(rename = "")]
    a: u64,
    #[checkpoint(rename = "")]
    b: u64,
    #[checkpoint(alias = "")]
    c: u64,
    #[checkpoint(alias = "__metadata__")]
    d: u64,
    #[checkpoint(alias = "__metadata__")]
    e: u64,
}

fn main() {}
