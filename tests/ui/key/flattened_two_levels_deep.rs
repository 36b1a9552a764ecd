use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Deepest {
    step: u64,
}

#[derive(Checkpoint)]
struct Middle {
    #[checkpoint(flatten)]
    deepest: Deepest,
}

#[derive(Checkpoint)]
struct TrainState {
    step: u64,
    #[checkpoint(flatten)]
    middle: Option<Box<Middle>>,
}

fn main() {}
